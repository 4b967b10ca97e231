import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Education } from './client';
import { readInput, studentNotFound } from './errors';
import { $Enums, type StudentStatus } from './generated/client';
import { studentInput } from './input';
import { callFunction, findRow, listRows, type Student } from './rows';

export interface RegisterStudentInput {
  /** An auth.User. */
  readonly userId: string;
  /** At most 200 characters. */
  readonly displayName: string;
  /** School year, 1 to 12. */
  readonly gradeLevel?: number;
  /** ISO 3166-1 alpha-2. */
  readonly country?: string;
}

/** Fields that are absent stay unchanged; null removes a value. */
export interface UpdateStudentInput {
  readonly studentId: string;
  readonly displayName?: string;
  readonly gradeLevel?: number | null;
  readonly country?: string | null;
}

export interface ChangeStudentStatusInput {
  readonly studentId: string;
  readonly status: StudentStatus;
}

export interface GetStudentInput {
  readonly studentId: string;
}

export type DeleteStudentInput = GetStudentInput;
export type RestoreStudentInput = GetStudentInput;

export interface FindStudentInput {
  readonly userId: string;
}

export interface ListStudentsInput extends PageInput {
  readonly status?: StudentStatus;
}

const displayName = textInput(200);
const gradeLevel = z.int().min(1).max(12);
const country = z.string().regex(/^[A-Z]{2}$/, 'is not two capital letters');
const registerInput = z.strictObject({
  userId: idInput.refine((text) => !text.startsWith('erased:'), 'is the mark of an erased student'),
  displayName,
  gradeLevel: gradeLevel.optional(),
  country: country.optional(),
});
const updateInput = z.strictObject({
  studentId: idInput,
  displayName: displayName.optional(),
  gradeLevel: gradeLevel.nullable().optional(),
  country: country.nullable().optional(),
});
const statusInput = z.strictObject({ studentId: idInput, status: z.enum($Enums.StudentStatus) });
const findInput = z.strictObject({ userId: idInput });
const listInput = z.strictObject({ status: z.enum($Enums.StudentStatus).optional(), ...pageFields });

/**
 * Makes a user a student, once per user: a repeated call returns the student unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.STUDENT_NOT_FOUND`: the student was deleted
 */
export async function registerStudent(education: Education, input: RegisterStudentInput): Promise<Student> {
  const { userId, ...fields } = readInput(registerInput, input);
  return callFunction(education, 'register_student', [newId(), userId, fields]);
}

/**
 * Changes the given fields of a student.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.STUDENT_NOT_FOUND`
 */
export async function updateStudent(education: Education, input: UpdateStudentInput): Promise<Student> {
  const { studentId, ...patch } = readInput(updateInput, input);
  return callFunction(education, 'update_student', [studentId, patch]);
}

/**
 * Pauses a student, who then cannot enroll, brings the student back, or lets the student graduate for good. The status that the
 * student has already changes nothing.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.STUDENT_NOT_FOUND`, `EDUCATION.STATUS_REFUSED`
 */
export async function changeStudentStatus(education: Education, input: ChangeStudentStatusInput): Promise<Student> {
  const { studentId, status } = readInput(statusInput, input);
  return callFunction(education, 'change_student_status', [studentId, status]);
}

/**
 * Deletes a student who takes no course; the rows stay, and {@link restoreStudent} brings the student back.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.STUDENT_NOT_FOUND`, `EDUCATION.STILL_ENROLLED`
 */
export async function deleteStudent(education: Education, input: DeleteStudentInput): Promise<Student> {
  return callFunction(education, 'delete_student', [readInput(studentInput, input).studentId]);
}

/**
 * Brings a deleted student back, but not an erased one.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.STUDENT_NOT_FOUND`
 */
export async function restoreStudent(education: Education, input: RestoreStudentInput): Promise<Student> {
  return callFunction(education, 'restore_student', [readInput(studentInput, input).studentId]);
}

/**
 * A student by id, deleted ones included.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.STUDENT_NOT_FOUND`
 */
export async function getStudent(education: Education, input: GetStudentInput): Promise<Student> {
  const { studentId } = readInput(studentInput, input);
  const student = await findRow<Student>(education, 'students', 'id', studentId);
  if (student === undefined) throw studentNotFound({ studentId });
  return student;
}

/**
 * The student of a user, or null when there is none or it was deleted.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function findStudent(education: Education, input: FindStudentInput): Promise<Student | null> {
  const { userId } = readInput(findInput, input);
  const student = await findRow<Student>(education, 'students', 'user_id', userId);
  return student === undefined || student.deletedAt !== null ? null : student;
}

/**
 * A page of the students that are not deleted, newest first.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listStudents(education: Education, input: ListStudentsInput = {}): Promise<Page<Student>> {
  const { status, ...page } = readInput(listInput, input);
  return listRows(
    education,
    'students',
    [
      ['deleted_at IS NULL AND ?::boolean', true],
      ['status = ?', status],
    ],
    page,
  );
}
