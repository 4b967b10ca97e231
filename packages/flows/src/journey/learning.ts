import {
  addModule,
  type Certificate,
  completeCourse,
  createCourse,
  type Module,
  publishCourse,
  recordProgress,
  registerStudent,
  setAssessment,
  submitAssessment,
} from '@azora/education';
import { submitKnowledge } from '@azora/mint';
import { PAID_ENROLLMENT, startPaidEnrollment } from '../paid-enrollment';
import type { Journey } from './context';
import type { People } from './sign-up';

export interface JourneyEnrollment {
  readonly courseId: string;
  readonly title: string;
  readonly module: Module;
  readonly studentId: string;
  readonly enrollmentId: string;
  /** The key of the saga. */
  readonly key: string;
}

const MAX_SCORE = 10;
const ANSWERS = { q1: 'A lawyer of data', q2: 'Never' };

/** Ben publishes a course, and Ada enrolls: the flow of paid enrollments moves its price from her wallet to his. */
export async function enrollAndPay(journey: Journey, { ada, ben }: People): Promise<JourneyEnrollment> {
  const { stores, run } = journey;
  const { education } = stores;
  const course = await createCourse(education, {
    ...{ slug: `databases-${run}`, instructorId: ben.userId, title: 'Introduction to databases' },
    ...{ description: 'Tables, keys and transactions', category: 'Programming', durationHours: 8 },
    ...{ price: '40', capacity: 30 },
  });
  const lessons = ['Tables', 'Keys', 'Transactions'];
  const module = await addModule(education, { courseId: course.id, title: 'The relational model', lessons });
  await setAssessment(education, {
    moduleId: module.id,
    title: 'What is a constraint, and when may data break it?',
    answerKey: { q1: { answer: ANSWERS.q1, points: 5 }, q2: { answer: ANSWERS.q2, points: 5 } },
  });
  await publishCourse(education, { courseId: course.id });
  const { id: studentId } = await registerStudent(education, { userId: ada.userId, displayName: ada.name });

  const order = { studentId, courseId: course.id, idempotencyKey: `journey:${run}` };
  await startPaidEnrollment(stores, order);
  const { results } = await journey.sagaDone(PAID_ENROLLMENT, order.idempotencyKey);
  const { enrollmentId } = results['enroll'] as { readonly enrollmentId: string };
  journey.say('Ada enrolls in the course of Ben. A saga reserves a seat, holds 40 AZR, enrolls her, and pays Ben.');
  return {
    ...{ courseId: course.id, title: course.title, module, studentId, enrollmentId },
    key: order.idempotencyKey,
  };
}

/** Ada does the lessons, passes the assessment, and gets the certificate. */
export async function learn(
  { stores: { education }, run, say }: Journey,
  { ada }: People,
  { enrollmentId, module }: JourneyEnrollment,
): Promise<Certificate> {
  const on = { enrollmentId, moduleId: module.id };
  await recordProgress(education, { ...on, completedLessons: module.lessons.length, timeSpentSeconds: 5_400 });
  const key = `journey:${run}:assessment`;
  const { score } = await submitAssessment(education, { ...on, answers: ANSWERS, idempotencyKey: key });
  const certificate = await completeCourse(education, { enrollmentId });
  say(`${ada.name} passes with ${score} of ${MAX_SCORE} points, and gets certificate ${certificate.number}.`);
  return certificate;
}

/** Ada submits what she has learned as a Proof of Knowledge, and the treasury pays her. */
export async function earn(
  { stores, run, say }: Journey,
  { ada }: People,
  { courseId, enrollmentId }: JourneyEnrollment,
): Promise<void> {
  const { reward, status } = await submitKnowledge(stores.mint, {
    ...{ walletId: ada.walletId, activity: 'course', courseId, proof: enrollmentId, knowledgeScore: '1' },
    idempotencyKey: `journey:${run}:knowledge`,
  });
  say(`${ada.name} earns ${reward.toFixed()} AZR by Proof of Knowledge; the submission is ${status}.`);
}
