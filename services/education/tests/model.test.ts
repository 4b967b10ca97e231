/** @server any */
import { endSessionInside, testEffort, useDatabase, useTestClock } from '@azora/db-testkit';
import * as fc from 'fast-check';
import {
  cancelReservation,
  completeCourse,
  confirmEnrollment,
  dropEnrollment,
  type Education,
  expireReservations,
  openEducation,
  recordPayment,
  recordProgress,
  reserveSeat,
  voidEnrollment,
} from '../src';
import { DAY_MS, fresh, givenCourse, givenStudent, HOUR_MS } from './education-given';

const SEATS = 2;
const STUDENTS = 3;
const PRICE = 40;
const REFUND_DAYS = 14;
const MAX_PROGRESS = 50;

interface Seat {
  id: string;
  status: 'held' | 'cancelled' | 'expired' | 'active' | 'completed' | 'dropped';
  expiresAt: number;
  enrolledAt: number;
  isPaid: boolean;
  lessons: [number, number];
  refund: number | null;
}

/** What the store must hold: the seats of each student in one course of two seats and two modules of two lessons. */
interface Model {
  now: number;
  readonly seats: Seat[][];
}

interface Real {
  readonly education: Education;
  readonly courseId: string;
  readonly moduleIds: readonly [string, string];
  readonly students: readonly string[];
  readonly move: (milliseconds: number) => Promise<void>;
  /** Makes a call that loses its session. */
  readonly end: (call: () => Promise<unknown>) => Promise<void>;
}

const last = (model: Model, student: number) => model.seats[student]?.at(-1);
const isOpen = (seat: Seat, now: number) => seat.status === 'held' && seat.expiresAt > now;
const progressOf = ({ lessons }: Seat) => (lessons[0] + lessons[1]) * 25;

/** The code of the error without its area, or `done`. */
async function outcomeOf(call: Promise<unknown>): Promise<string> {
  return call.then(
    () => 'done',
    (error) => String(error.code).replace('EDUCATION.', ''),
  );
}

/** A command of one student: what the model expects, and then changes, and the call. */
function command(
  name: string,
  expectAndChange: (model: Model, student: number, extra: number) => string,
  call: (real: Real, student: number, id: string, extra: number) => Promise<unknown>,
) {
  return fc.record({ student: fc.nat(STUDENTS - 1), extra: fc.nat(5), isEnded: fc.nat(4).map((n) => n === 0) }).map(
    ({ student, extra, isEnded }): fc.AsyncCommand<Model, Real> => ({
      check: (model) => name === 'reserve' || last(model, student) !== undefined,
      run: async (model, real) => {
        const id = last(model, student)?.id ?? '';
        const expected = expectAndChange(model, student, extra);
        let made: unknown;
        const attempt = () => call(real, student, id, extra).then((row) => (made = row));
        // Nothing stays of a call whose session was ended, so it is made again as if it were new.
        if (isEnded && name !== 'wait') await real.end(attempt);
        const outcome = await outcomeOf(attempt());
        expect([name, outcome]).toEqual([name, expected]);
        const seat = last(model, student);
        if (name === 'reserve' && outcome === 'done' && seat !== undefined) seat.id = (made as { id: string }).id;
        await compare(model, real, student);
      },
      toString: () => `${name}(${student}, ${extra})${isEnded ? ', first session ended' : ''}`,
    }),
  );
}

/** The rows of the student are those of the model, and the seats are not oversold. */
async function compare(model: Model, { education, courseId, students }: Real, student: number): Promise<void> {
  const seat = last(model, student);
  if (seat === undefined) return;
  const reservation = await education.prisma.seatReservation.findUniqueOrThrow({ where: { id: seat.id } });
  const enrollment = await education.prisma.enrollment.findUnique({ where: { id: seat.id } });
  const found = enrollment?.status ?? reservation.status;
  const isLapsed = seat.status === 'held' && found === 'expired';
  expect(isLapsed && seat.expiresAt <= model.now ? seat.status : found).toBe(seat.status);
  if (enrollment !== null) {
    expect(enrollment.refundAmount?.toNumber() ?? null).toBe(seat.refund);
    expect(enrollment.progress.toNumber()).toBe(progressOf(seat));
    expect(enrollment.paidAt !== null).toBe(seat.isPaid);
  }
  const active = await education.prisma.enrollment.count({ where: { courseId, status: 'active' } });
  const held = await education.prisma.seatReservation.count({
    where: { courseId, status: 'held', expiresAt: { gt: new Date(model.now) }, studentId: { in: [...students] } },
  });
  expect(active + held).toBeLessThanOrEqual(SEATS);
}

function reserve(model: Model, student: number): string {
  const seats = model.seats[student] ?? [];
  const all = model.seats.flat();
  if (seats.some(({ status }) => status === 'active' || status === 'completed')) return 'ALREADY_ENROLLED';
  for (const seat of all) if (seat.status === 'held' && !isOpen(seat, model.now)) seat.status = 'expired';
  if (seats.some(({ status }) => status === 'held')) return 'SEAT_RESERVED';
  if (all.filter(({ status }) => status === 'held' || status === 'active').length >= SEATS) return 'COURSE_FULL';
  const times = { expiresAt: model.now + HOUR_MS, enrolledAt: 0 };
  seats.push({ id: '', status: 'held', ...times, isPaid: false, lessons: [0, 0], refund: null });
  return 'done';
}

/** The seat of a command that needs one; `check` lets no other command run. */
function seatOf(model: Model, student: number): Seat {
  const seat = last(model, student);
  if (seat === undefined) throw new Error('the command needs a seat');
  return seat;
}

const isEnrolled = ({ status }: Seat) => ['active', 'completed', 'dropped'].includes(status);

const COMMANDS = [
  command('reserve', reserve, (real, student) =>
    reserveSeat(real.education, {
      studentId: real.students[student] ?? '',
      courseId: real.courseId,
      expiresIn: HOUR_MS,
      idempotencyKey: fresh('model'),
    }),
  ),
  command(
    'confirm',
    (model, student) => {
      const seat = seatOf(model, student);
      if (isEnrolled(seat)) return 'done';
      if (seat.status === 'cancelled') return 'STATUS_REFUSED';
      if (!isOpen(seat, model.now)) return 'RESERVATION_EXPIRED';
      Object.assign(seat, { status: 'active', enrolledAt: model.now });
      return 'done';
    },
    (real, _student, id) => confirmEnrollment(real.education, { reservationId: id, holdId: `hold-${id}` }),
  ),
  command(
    'cancel',
    (model, student) => {
      const seat = seatOf(model, student);
      if (isEnrolled(seat)) return 'STATUS_REFUSED';
      if (seat.status === 'held') seat.status = 'cancelled';
      return 'done';
    },
    (real, _student, id) => cancelReservation(real.education, { reservationId: id }),
  ),
  command(
    'pay',
    (model, student) => {
      const seat = seatOf(model, student);
      if (!isEnrolled(seat)) return 'ENROLLMENT_NOT_FOUND';
      if (!seat.isPaid && seat.status === 'dropped') seat.refund = PRICE;
      seat.isPaid = true;
      return 'done';
    },
    (real, _student, id) => recordPayment(real.education, { enrollmentId: id, transactionId: `payment-${id}` }),
  ),
  command(
    'drop',
    (model, student) => {
      const seat = seatOf(model, student);
      if (!isEnrolled(seat)) return 'ENROLLMENT_NOT_FOUND';
      if (seat.status === 'dropped') return 'done';
      if (seat.status === 'completed') return 'STATUS_REFUSED';
      if (!seat.isPaid) return 'PAYMENT_PENDING';
      const isInTime = model.now <= seat.enrolledAt + REFUND_DAYS * DAY_MS && progressOf(seat) <= MAX_PROGRESS;
      Object.assign(seat, { status: 'dropped', refund: isInTime ? PRICE : 0 });
      return 'done';
    },
    (real, _student, id) => dropEnrollment(real.education, { enrollmentId: id }),
  ),
  command(
    'void',
    (model, student) => {
      const seat = seatOf(model, student);
      if (!isEnrolled(seat)) return 'ENROLLMENT_NOT_FOUND';
      if (seat.isPaid) return 'PAYMENT_SETTLED';
      if (seat.status === 'active') Object.assign(seat, { status: 'dropped', refund: 0 });
      return 'done';
    },
    (real, _student, id) => voidEnrollment(real.education, { enrollmentId: id }),
  ),
  command(
    'learn',
    (model, student, extra) => {
      const seat = seatOf(model, student);
      if (!isEnrolled(seat)) return 'ENROLLMENT_NOT_FOUND';
      if (seat.status !== 'active') return 'ENROLLMENT_ENDED';
      const at = extra % 2 === 0 ? 0 : 1;
      seat.lessons[at] = Math.max(seat.lessons[at], Math.floor(extra / 2));
      return 'done';
    },
    (real, _student, id, extra) => {
      const moduleId = real.moduleIds[extra % 2 === 0 ? 0 : 1];
      return recordProgress(real.education, { enrollmentId: id, moduleId, completedLessons: Math.floor(extra / 2) });
    },
  ),
  command(
    'complete',
    (model, student) => {
      const seat = seatOf(model, student);
      if (!isEnrolled(seat)) return 'ENROLLMENT_NOT_FOUND';
      if (seat.status === 'completed') return 'done';
      if (seat.status === 'dropped') return 'STATUS_REFUSED';
      if (!seat.isPaid) return 'PAYMENT_PENDING';
      if (progressOf(seat) < 100) return 'COURSE_UNFINISHED';
      seat.status = 'completed';
      return 'done';
    },
    (real, _student, id) => completeCourse(real.education, { enrollmentId: id }),
  ),
  command(
    'wait',
    (model, _student, extra) => {
      model.now += [HOUR_MS - 1, HOUR_MS, 1, 7 * DAY_MS, 14 * DAY_MS, DAY_MS][extra] ?? 0;
      for (const seat of model.seats.flat())
        if (seat.status === 'held' && !isOpen(seat, model.now)) seat.status = 'expired';
      return 'done';
    },
    async (real, _student, _id, extra) => {
      await real.move([HOUR_MS - 1, HOUR_MS, 1, 7 * DAY_MS, 14 * DAY_MS, DAY_MS][extra] ?? 0);
      await expireReservations(real.education);
    },
  ),
];

describe('the store of education against a model', () => {
  const db = useDatabase('education');
  const START = '2026-03-01T12:00:00Z';
  const clock = useTestClock(db, START);
  let education: Education;
  beforeAll(() => {
    education = openEducation({ url: db().url });
  });
  afterAll(() => education.close());

  let ended = 0;
  /** Ends the session of a call when it has done everything but publish. */
  async function end(call: () => Promise<unknown>): Promise<void> {
    const error = await endSessionInside(db(), 'LOCK TABLE outbox', call);
    if (Object(error).code === 'DATABASE.CONNECTION_LOST') ended += 1;
  }

  it('does what the model does in every order of calls, though some calls lose their session', async () => {
    const seats = fc.commands(COMMANDS, { maxCommands: 40, size: 'max' });
    await fc.assert(
      fc.asyncProperty(seats, async (commands) => {
        await clock.set(START);
        const terms = {
          price: String(PRICE),
          capacity: SEATS,
          refundDays: REFUND_DAYS,
          refundMaxProgress: MAX_PROGRESS,
        };
        const course = await givenCourse(education, terms);
        const students = await Promise.all(Array.from({ length: STUDENTS }, () => givenStudent(education)));
        const model: Model = { now: new Date(START).getTime(), seats: students.map(() => []) };
        const real: Real = { education, ...course, students, move: clock.move, end };
        await fc.asyncModelRun(() => ({ model, real }), commands);
      }),
      { numRuns: 12 * testEffort() },
    );
    expect(ended).toBeGreaterThan(0);
  });
});
