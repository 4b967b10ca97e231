import { type MoneyInput, newId } from '@azora/db-core';
import { amountOrZeroInput, idInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Education } from './client';
import { courseNotFound, readInput } from './errors';
import { $Enums, type CourseLevel, type CourseStatus } from './generated/client';
import { courseInput, longTextInput, type ScoreInput, scoreInput } from './input';
import { type Course, type CoursePrerequisite, callForRows, callFunction, findRow, listRows } from './rows';

interface CourseFields {
  /** At most 200 characters. */
  readonly title?: string;
  readonly description?: string;
  /** At most 100 characters. */
  readonly category?: string;
  /** `beginner` when absent. */
  readonly level?: CourseLevel;
  /** In AZR; 0 when absent. A change concerns later reservations. */
  readonly price?: MoneyInput;
  readonly durationHours?: number;
  /** The number of seats; any number when absent or null. */
  readonly capacity?: number | null;
  /** Days after the enrollment in which the price is given back, 0 to 365; 14 when absent. */
  readonly refundDays?: number;
  /** The percentage of progress up to which the price is given back; 20 when absent. */
  readonly refundMaxProgress?: ScoreInput;
}

export interface CreateCourseInput extends CourseFields {
  /** Lower-case words with hyphens, unique, such as `introduction-to-python`. */
  readonly slug: string;
  /** An auth.User. */
  readonly instructorId: string;
  readonly title: string;
  readonly category: string;
  readonly durationHours: number;
}

/** Fields that are absent stay unchanged. */
export interface UpdateCourseInput extends CourseFields {
  readonly courseId: string;
}

export interface GetCourseInput {
  readonly courseId: string;
}

export type PublishCourseInput = GetCourseInput;
export type ArchiveCourseInput = GetCourseInput;
export type DeleteCourseInput = GetCourseInput;
export type RestoreCourseInput = GetCourseInput;

export interface FindCourseInput {
  readonly slug: string;
}

export interface SetPrerequisitesInput {
  readonly courseId: string;
  /** All prerequisites, at most 50; none when empty. */
  readonly prerequisiteIds: readonly string[];
}

export interface ListCoursesInput extends PageInput {
  readonly status?: CourseStatus;
  readonly category?: string;
  readonly level?: CourseLevel;
  readonly instructorId?: string;
  /** Words of the title, the category or the description, as in a web search. */
  readonly text?: string;
}

const MAX_PREREQUISITES = 50;

const slug = z
  .string()
  .max(120)
  .regex(/^[a-z0-9]+(-[a-z0-9]+)*$/, 'is not lower-case words with hyphens');
const fields = {
  title: textInput(200),
  description: longTextInput.optional(),
  category: textInput(100),
  level: z.enum($Enums.CourseLevel).optional(),
  price: amountOrZeroInput.optional(),
  durationHours: z.int().min(1).max(100_000),
  capacity: z.int().min(1).max(1_000_000_000).nullable().optional(),
  refundDays: z.int().min(0).max(365).optional(),
  refundMaxProgress: scoreInput.refine((text) => Number(text) <= 100, 'is above 100').optional(),
};
const createInput = z.strictObject({ slug, instructorId: idInput, ...fields });
const updateInput = z.strictObject({
  courseId: idInput,
  ...fields,
  title: fields.title.optional(),
  category: fields.category.optional(),
  durationHours: fields.durationHours.optional(),
});
const prerequisitesInput = z.strictObject({
  courseId: idInput,
  prerequisiteIds: z.array(idInput).max(MAX_PREREQUISITES),
});
const listInput = z.strictObject({
  status: z.enum($Enums.CourseStatus).optional(),
  category: textInput(100).optional(),
  level: z.enum($Enums.CourseLevel).optional(),
  instructorId: idInput.optional(),
  text: textInput(200).optional(),
  ...pageFields,
});

/**
 * Creates a course as a draft.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `MONEY.*`, `EDUCATION.SLUG_TAKEN`
 */
export async function createCourse(education: Education, input: CreateCourseInput): Promise<Course> {
  const { slug: name, instructorId, ...given } = readInput(createInput, input);
  return callFunction(education, 'create_course', [newId(), name, instructorId, given]);
}

/**
 * Changes the given fields of a draft or published course. A published course stays complete.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `MONEY.*`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`,
 *   `EDUCATION.COURSE_INCOMPLETE`
 */
export async function updateCourse(education: Education, input: UpdateCourseInput): Promise<Course> {
  const { courseId, ...patch } = readInput(updateInput, input);
  return callFunction(education, 'update_course', [courseId, patch]);
}

/**
 * Opens a complete draft for students: it has a description, modules, and lessons in each of them. A published course is returned
 * unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_INCOMPLETE`,
 *   `EDUCATION.STATUS_REFUSED`
 */
export async function publishCourse(education: Education, input: PublishCourseInput): Promise<Course> {
  return callFunction(education, 'publish_course', [readInput(courseInput, input).courseId]);
}

/**
 * Closes a published course for new students, for good. Its students continue, and open reservations can be confirmed. An archived
 * course is returned unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.STATUS_REFUSED`
 */
export async function archiveCourse(education: Education, input: ArchiveCourseInput): Promise<Course> {
  return callFunction(education, 'archive_course', [readInput(courseInput, input).courseId]);
}

/**
 * Deletes a draft or archived course without active students; the rows stay, and {@link restoreCourse} brings it back.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`,
 *   `EDUCATION.STILL_ENROLLED`
 */
export async function deleteCourse(education: Education, input: DeleteCourseInput): Promise<Course> {
  return callFunction(education, 'delete_course', [readInput(courseInput, input).courseId]);
}

/**
 * Brings a deleted course back, in the status that it had.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`
 */
export async function restoreCourse(education: Education, input: RestoreCourseInput): Promise<Course> {
  return callFunction(education, 'restore_course', [readInput(courseInput, input).courseId]);
}

/**
 * Replaces the prerequisites of a course: a student completes them before enrolling. They form no cycle.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`, `EDUCATION.COURSE_FIXED`,
 *   `EDUCATION.PREREQUISITE_CYCLE`
 */
export async function setPrerequisites(
  education: Education,
  input: SetPrerequisitesInput,
): Promise<readonly CoursePrerequisite[]> {
  const { courseId, prerequisiteIds } = readInput(prerequisitesInput, input);
  return callForRows(education, 'set_prerequisites', [courseId, prerequisiteIds]);
}

/**
 * A course by id, deleted ones included.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.COURSE_NOT_FOUND`
 */
export async function getCourse(education: Education, input: GetCourseInput): Promise<Course> {
  const { courseId } = readInput(courseInput, input);
  const course = await findRow<Course>(education, 'courses', 'id', courseId);
  if (course === undefined) throw courseNotFound({ courseId });
  return course;
}

/**
 * The course with this slug, or null when there is none or it was deleted.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function findCourse(education: Education, input: FindCourseInput): Promise<Course | null> {
  const course = await findRow<Course>(education, 'courses', 'slug', readInput(z.strictObject({ slug }), input).slug);
  return course === undefined || course.deletedAt !== null ? null : course;
}

/**
 * A page of the courses that are not deleted and that meet every given filter, newest first.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listCourses(education: Education, input: ListCoursesInput = {}): Promise<Page<Course>> {
  const { status, category, level, instructorId, text, ...page } = readInput(listInput, input);
  return listRows(
    education,
    'courses',
    [
      ['deleted_at IS NULL AND ?::boolean', true],
      ['status = ?', status],
      ['category = ?', category],
      ['level = ?', level],
      ['instructor_id = ?', instructorId],
      ["search @@ websearch_to_tsquery('english', ?)", text],
    ],
    page,
  );
}
