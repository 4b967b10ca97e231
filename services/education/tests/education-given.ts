import { randomUUID } from 'node:crypto';
import type { TestDatabase } from '@azora/db-testkit';
import {
  addModule,
  type Course,
  type CreateCourseInput,
  confirmEnrollment,
  createCourse,
  type Education,
  type Enrollment,
  enroll,
  type Module,
  openEducation,
  publishCourse,
  recordPayment,
  registerStudent,
  reserveSeat,
  type SetAssessmentInput,
  setAssessment,
} from '../src';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export function fresh(name: string): string {
  return `${name}-${randomUUID()}`;
}

export async function givenStudent(education: Education): Promise<string> {
  const { id } = await registerStudent(education, { userId: fresh('user'), displayName: 'Ada', country: 'ZA' });
  return id;
}

/** A draft that is complete: two modules of two lessons each. */
export async function givenDraft(
  education: Education,
  fields: Partial<CreateCourseInput> & { readonly assessment?: Omit<SetAssessmentInput, 'moduleId'> } = {},
): Promise<{ readonly course: Course; readonly modules: readonly Module[] }> {
  const { assessment, ...given } = fields;
  const course = await createCourse(education, {
    slug: fresh('course'),
    instructorId: 'teacher',
    title: 'Go',
    description: 'A language',
    category: 'Programming',
    durationHours: 4,
    ...given,
  });
  const modules: Module[] = [];
  for (const title of ['First', 'Second']) {
    modules.push(await addModule(education, { courseId: course.id, title, lessons: ['One', 'Two'] }));
  }
  const [first] = modules;
  if (assessment !== undefined && first !== undefined)
    await setAssessment(education, { moduleId: first.id, ...assessment });
  return { course, modules };
}

/** A published course, with the ids of its two modules. */
export async function givenCourse(
  education: Education,
  fields: Parameters<typeof givenDraft>[1] = {},
): Promise<{ readonly courseId: string; readonly moduleIds: readonly [string, string] }> {
  const { course, modules } = await givenDraft(education, fields);
  await publishCourse(education, { courseId: course.id });
  const [first, second] = modules;
  return { courseId: course.id, moduleIds: [first?.id ?? '', second?.id ?? ''] };
}

/** An active enrollment of a new student; paid, if the course has a price. */
export async function givenEnrollment(
  education: Education,
  courseId: string,
  { studentId, isPaid = true }: { readonly studentId?: string; readonly isPaid?: boolean } = {},
): Promise<Enrollment> {
  const student = studentId ?? (await givenStudent(education));
  const { price } = await education.prisma.course.findUniqueOrThrow({ where: { id: courseId } });
  const request = { studentId: student, courseId, idempotencyKey: fresh('enroll') };
  if (price.eq(0)) return enroll(education, request);
  const { id } = await reserveSeat(education, { ...request, expiresIn: HOUR_MS });
  const enrollment = await confirmEnrollment(education, { reservationId: id, holdId: fresh('hold') });
  return isPaid ? recordPayment(education, { enrollmentId: id, transactionId: fresh('payment') }) : enrollment;
}

/** Several stores on one database, like those of several processes. */
export function givenStores(db: TestDatabase, count: number): readonly Education[] {
  return Array.from({ length: count }, () =>
    openEducation({ url: db.url, pool: { max: 4, connectTimeoutMs: 60_000 } }),
  );
}

/** The outcome of each call: the code of its error, or `done`. */
export async function outcomes(calls: readonly Promise<unknown>[]): Promise<readonly string[]> {
  const settled = await Promise.allSettled(calls);
  return settled.map((it) => (it.status === 'fulfilled' ? 'done' : String(it.reason.code ?? it.reason)));
}

export interface Published {
  readonly type: string;
  readonly key: string;
  readonly payload: Record<string, unknown>;
}

/** The events in the outbox, oldest first. */
export async function published(db: TestDatabase, after = 0): Promise<readonly Published[]> {
  const rows = await db.admin('SELECT type, key, payload FROM outbox ORDER BY position OFFSET $1', [after]);
  return rows as unknown as readonly Published[];
}
