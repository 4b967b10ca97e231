/** @server any */
import {
  acceptedInput,
  BAD,
  type BadCall,
  type BadValues,
  outcomeOfGood,
  rowsOf,
  useDatabase,
} from '@azora/db-testkit';
import * as store from '../src';
import { type Education, openEducation } from '../src';
import { givenCourse, givenDraft, givenEnrollment, givenStudent, HOUR_MS } from './education-given';

const KEY = { idempotencyKey: BAD.texts };
const PAGE = { limit: BAD.limits, cursor: BAD.cursors };
const SLUGS: BadValues = [...BAD.texts, ['upper case', 'Go'], ['a space', 'a b']];
/** Texts that may be empty. */
const LONG_TEXTS: BadValues = BAD.texts.filter(([what]) => !/empty|blanks/.test(what));
const SCORES: BadValues = [
  ...BAD.counts.filter(([what]) => !/text|fraction/.test(what)),
  ['three decimals', '1.005'],
  ['words', 'full marks'],
];
const COUNTRIES: BadValues = [...BAD.texts, ['lower case', 'za'], ['three letters', 'ZAF']];
const LESSONS: BadValues = [
  ['text', 'One'],
  ['501', Array.from({ length: 501 }, () => 'x')],
  ['null', null],
  ...BAD.texts.map(([what, text]) => [what, [text]] as const),
];
const IDS_IN_LIST: BadValues = [['text', 'x'], ...BAD.ids.map(([what, id]) => [what, [id]] as const)];
const COURSE_FIELDS = {
  ...{ title: BAD.texts, description: LONG_TEXTS, category: BAD.texts, level: BAD.choices, price: BAD.amounts },
  ...{
    durationHours: BAD.ordinals,
    capacity: BAD.ordinals.filter(([what]) => what !== 'null'),
    refundDays: BAD.counts,
  },
  refundMaxProgress: [...SCORES, ['above 100', '100.01']] as BadValues,
};
const MODULE_FIELDS = { title: BAD.texts, description: LONG_TEXTS, lessons: LESSONS };
const ANSWER_KEYS: BadValues = [
  ...BAD.objects,
  ['no points', { q1: { answer: 'a' } }],
  ['no answer', { q1: { points: 1 } }],
  ['0 points', { q1: { answer: 'a', points: 0 } }],
  ['three decimals', { q1: { answer: 'a', points: 1.005 } }],
  ['a question without a name', { ' ': { answer: 'a', points: 1 } }],
  ['__proto__ without points', JSON.parse('{"__proto__": {"answer": "a"}}')],
  ['none', {}],
];
const COURSE = { slug: 'bad-input', instructorId: 'x', title: 'x', description: 'x', category: 'x', durationHours: 1 };
const key = 'bad-input';

/** The rows that valid input names. */
const ids = {
  ...{ student: '', draft: '', course: '', free: '', module: '', others: [''] },
  ...{ enrollment: '', reservation: '', submission: '', certificate: 'x' },
};

/** Each function with valid input, and invalid values of its fields. */
const callsOf = (): Readonly<Record<string, BadCall<Education>>> => {
  const course = { courseId: ids.draft };
  const ofCourse = { courseId: BAD.ids };
  const ofModule = { moduleId: BAD.ids };
  const graded = { submissionId: ids.submission, score: 1, gradedById: 'teacher' };
  const ofGrade = { submissionId: BAD.ids, score: SCORES, feedback: LONG_TEXTS, gradedById: BAD.ids };
  return {
    registerStudent: [
      store.registerStudent,
      { userId: 'bad-input', displayName: 'Ada' },
      {
        userId: [...BAD.ids, ['the mark of an erased student', 'erased:1']],
        ...{ displayName: BAD.texts, gradeLevel: [...BAD.ordinals, ['13', 13]], country: COUNTRIES },
      },
    ],
    updateStudent: [
      store.updateStudent,
      { studentId: ids.student },
      {
        ...{ studentId: BAD.ids, displayName: BAD.texts },
        gradeLevel: BAD.ordinals.filter(([what]) => what !== 'null'),
        country: COUNTRIES.filter(([what]) => what !== 'null'),
      },
    ],
    changeStudentStatus: [
      store.changeStudentStatus,
      { studentId: ids.student, status: 'active' },
      { studentId: BAD.ids, status: BAD.choices },
    ],
    deleteStudent: [store.deleteStudent, { studentId: 'x' }, { studentId: BAD.ids }],
    restoreStudent: [store.restoreStudent, { studentId: 'x' }, { studentId: BAD.ids }],
    getStudent: [store.getStudent, { studentId: ids.student }, { studentId: BAD.ids }],
    findStudent: [store.findStudent, { userId: 'x' }, { userId: BAD.ids }],
    listStudents: [store.listStudents, {}, { status: BAD.choices, ...PAGE }],
    createCourse: [store.createCourse, COURSE, { slug: SLUGS, instructorId: BAD.ids, ...COURSE_FIELDS }],
    updateCourse: [store.updateCourse, course, { ...ofCourse, ...COURSE_FIELDS }],
    publishCourse: [store.publishCourse, { courseId: 'x' }, ofCourse],
    archiveCourse: [store.archiveCourse, { courseId: 'x' }, ofCourse],
    deleteCourse: [store.deleteCourse, { courseId: 'x' }, ofCourse],
    restoreCourse: [store.restoreCourse, { courseId: 'x' }, ofCourse],
    setPrerequisites: [
      store.setPrerequisites,
      { ...course, prerequisiteIds: [] },
      { ...ofCourse, prerequisiteIds: [...IDS_IN_LIST, ['51', Array.from({ length: 51 }, (_, n) => `c${n}`)]] },
    ],
    getCourse: [store.getCourse, course, ofCourse],
    findCourse: [store.findCourse, { slug: 'x' }, { slug: SLUGS }],
    listCourses: [
      store.listCourses,
      {},
      {
        ...{ status: BAD.choices, category: BAD.texts, level: BAD.choices, instructorId: BAD.ids },
        ...{ text: BAD.texts, ...PAGE },
      },
    ],
    addModule: [
      store.addModule,
      { ...course, title: 'x' },
      { ...ofCourse, ...MODULE_FIELDS, durationMinutes: BAD.ordinals, position: [...BAD.ordinals, ['a gap', 999]] },
    ],
    updateModule: [
      store.updateModule,
      { moduleId: ids.module },
      { ...ofModule, ...MODULE_FIELDS, durationMinutes: BAD.ordinals.filter(([what]) => what !== 'null') },
    ],
    removeModule: [store.removeModule, { moduleId: 'x' }, ofModule],
    reorderModules: [
      store.reorderModules,
      { courseId: ids.free, moduleIds: ids.others },
      { ...ofCourse, moduleIds: [...IDS_IN_LIST, ['not all', []], ['one twice', [ids.others[0], ids.others[0]]]] },
    ],
    listModules: [store.listModules, course, ofCourse],
    setAssessment: [
      store.setAssessment,
      { moduleId: ids.module, title: 'x' },
      {
        ...{ ...ofModule, title: BAD.texts, maxScore: [...SCORES, ['0', 0]], isRequired: BAD.flags },
        passScore: [...SCORES, ['above the maximum', 101]],
        ...{ maxAttempts: BAD.ordinals, deadlineDays: BAD.ordinals, answerKey: ANSWER_KEYS },
      },
    ],
    removeAssessment: [store.removeAssessment, { moduleId: ids.module }, ofModule],
    findAssessment: [store.findAssessment, { moduleId: ids.module }, ofModule],
    enroll: [
      store.enroll,
      { studentId: ids.student, courseId: ids.course, idempotencyKey: key },
      { studentId: BAD.ids, ...ofCourse, ...KEY },
    ],
    reserveSeat: [
      store.reserveSeat,
      { studentId: ids.student, courseId: ids.course, expiresIn: HOUR_MS, idempotencyKey: `${key}-seat` },
      { studentId: BAD.ids, ...ofCourse, expiresIn: [...BAD.ordinals, ['a year', 366 * 24 * HOUR_MS]], ...KEY },
    ],
    confirmEnrollment: [
      store.confirmEnrollment,
      { reservationId: ids.reservation, holdId: 'hold' },
      { reservationId: BAD.ids, holdId: BAD.ids },
    ],
    recordPayment: [
      store.recordPayment,
      { enrollmentId: ids.enrollment, transactionId: 'payment' },
      { enrollmentId: BAD.ids, transactionId: BAD.ids },
    ],
    cancelReservation: [store.cancelReservation, { reservationId: ids.reservation }, { reservationId: BAD.ids }],
    expireReservations: [store.expireReservations, {}, { limit: BAD.limits }],
    dropEnrollment: [store.dropEnrollment, { enrollmentId: 'x' }, { enrollmentId: BAD.ids }],
    voidEnrollment: [store.voidEnrollment, { enrollmentId: 'x' }, { enrollmentId: BAD.ids }],
    getReservation: [store.getReservation, { reservationId: ids.reservation }, { reservationId: BAD.ids }],
    findReservation: [store.findReservation, { idempotencyKey: key }, KEY],
    getEnrollment: [store.getEnrollment, { enrollmentId: ids.enrollment }, { enrollmentId: BAD.ids }],
    listEnrollments: [store.listEnrollments, {}, { studentId: BAD.ids, ...ofCourse, status: BAD.choices, ...PAGE }],
    recordProgress: [
      store.recordProgress,
      { enrollmentId: ids.enrollment, moduleId: ids.others[0], completedLessons: 1 },
      {
        ...{ enrollmentId: BAD.ids, ...ofModule, timeSpentSeconds: BAD.counts },
        completedLessons: [...BAD.counts, ['more than there are', 3]],
      },
    ],
    listProgress: [store.listProgress, { enrollmentId: ids.enrollment }, { enrollmentId: BAD.ids }],
    submitAssessment: [
      store.submitAssessment,
      { enrollmentId: ids.enrollment, moduleId: ids.others[0], answers: { q: 1 }, idempotencyKey: `${key}-submit` },
      { enrollmentId: BAD.ids, ...ofModule, answers: [...BAD.objects, ['null', null]], ...KEY },
    ],
    gradeSubmission: [store.gradeSubmission, graded, { ...ofGrade, score: [...SCORES, ['above the maximum', 101]] }],
    regradeSubmission: [store.regradeSubmission, graded, ofGrade],
    getSubmission: [store.getSubmission, { submissionId: ids.submission }, { submissionId: BAD.ids }],
    listGrades: [store.listGrades, { submissionId: ids.submission }, { submissionId: BAD.ids }],
    listSubmissions: [
      store.listSubmissions,
      {},
      { enrollmentId: BAD.ids, studentId: BAD.ids, ...ofModule, status: BAD.choices, ...PAGE },
    ],
    completeCourse: [store.completeCourse, { enrollmentId: ids.enrollment }, { enrollmentId: BAD.ids }],
    revokeCertificate: [
      store.revokeCertificate,
      { certificateId: 'x', reason: 'misconduct', revokedById: 'x' },
      { certificateId: BAD.ids, reason: BAD.choices, revokedById: BAD.ids },
    ],
    verifyCertificate: [store.verifyCertificate, { verificationCode: 'x' }, { verificationCode: LONG_TEXTS }],
    getCertificate: [store.getCertificate, { certificateId: 'x' }, { certificateId: BAD.ids }],
    listCertificates: [store.listCertificates, {}, { studentId: BAD.ids, ...ofCourse, ...PAGE }],
    findWallet: [store.findWallet, { studentId: ids.student }, { studentId: BAD.ids }],
    listTransactions: [store.listTransactions, { walletId: 'x' }, { walletId: BAD.ids, type: BAD.choices, ...PAGE }],
  };
};

describe('invalid input', () => {
  const db = useDatabase('education');
  let education: Education;
  beforeAll(async () => {
    education = openEducation({ url: db().url });
    const draft = await givenDraft(education);
    const { courseId: course } = await givenCourse(education, { price: '10' });
    const { courseId: free, moduleIds } = await givenCourse(education, { assessment: { title: 'Quiz' } });
    const student = await givenStudent(education);
    const { id: enrollment } = await givenEnrollment(education, free);
    const [moduleId] = moduleIds;
    Object.assign(ids, {
      ...{ draft: draft.course.id, module: draft.modules[0]?.id, course, free, others: moduleIds, student, enrollment },
      submission: (
        await store.submitAssessment(education, {
          ...{ enrollmentId: enrollment, moduleId, answers: {}, idempotencyKey: 'submission' },
        })
      ).id,
      reservation: (
        await store.reserveSeat(education, {
          ...{ studentId: await givenStudent(education), courseId: course, expiresIn: HOUR_MS },
          idempotencyKey: 'seat',
        })
      ).id,
    });
  });
  afterAll(() => education.close());

  it.each(Object.keys(callsOf()))('of %s is rejected with the name of the field, and changes nothing', async (name) => {
    const call = callsOf()[name] as BadCall<Education>;
    const before = await rowsOf(db());

    expect(await acceptedInput(education, 'EDUCATION.INVALID_INPUT', call)).toEqual([]);
    expect(await rowsOf(db())).toEqual(before);
    expect(await outcomeOfGood(education, call)).not.toBe('EDUCATION.INVALID_INPUT');
  });

  it('keeps a question of an answer key that is called __proto__', async () => {
    const { modules } = await givenDraft(education);
    const answerKey = JSON.parse('{"__proto__": {"answer": "a", "points": 2}, "q": {"answer": "b", "points": 1}}');
    const assessment = await store.setAssessment(education, { moduleId: modules[0]?.id ?? '', title: 'x', answerKey });

    expect(JSON.stringify(assessment.answerKey)).toContain('"__proto__":{"answer":"a","points":2}');
    expect(assessment.maxScore.toFixed()).toBe('3');
  });

  it('of the functions about a person is rejected', async () => {
    for (const [, id] of BAD.ids) {
      for (const call of [store.exportPerson(education, id as string), store.erasePerson(education, id as string)])
        await expect(call).rejects.toMatchObject({ code: 'EDUCATION.INVALID_INPUT' });
    }
  });

  it('is tested for every function with input', () => {
    const others = ['openEducation', 'exportPerson', 'erasePerson', 'refundKey', 'walletProjection'];
    const functions = Object.entries(store).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));

    expect(functions.filter((name) => /^[a-z]/.test(name) && !others.includes(name)).sort()).toEqual(
      Object.keys(callsOf()).sort(),
    );
  });
});
