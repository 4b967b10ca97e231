import { defineSeed, seedId } from '@azora/db-core';
import { publishSeed } from './seed/events';
import { volume } from './seed/volume';
import { openEducation } from './src/index';

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const STUDENT = seedId('education.Student.student');
const PYTHON = seedId('education.Course.python');
const REACT = seedId('education.Course.react');
const PYTHON_BASICS = seedId('education.Module.python-basics');
const ENROLLMENT = seedId('education.Enrollment.student-python');
/** The wallet of the student in mint, whose copy the study wallet is. */
const WALLET = seedId('mint.Wallet.student');

const COURSES = [
  {
    id: PYTHON,
    slug: 'introduction-to-python-programming',
    title: 'Introduction to Python Programming',
    description:
      'Variables, data types and control flow: the first steps in programming, with exercises after every lesson.',
    category: 'Programming',
    level: 'beginner',
    price: '100',
    durationHours: 40,
  },
  {
    id: REACT,
    slug: 'web-development-with-react',
    title: 'Web Development with React',
    description: 'Components, state and data fetching: build a complete web application with React.',
    category: 'Web Development',
    level: 'intermediate',
    price: '150',
    durationHours: 60,
  },
] as const;

const MODULES = [
  {
    slug: 'python-basics',
    courseId: PYTHON,
    position: 1,
    title: 'Python Basics',
    lessons: ['Variables', 'Data Types', 'Operators', 'Expressions'],
  },
  {
    slug: 'python-control-flow',
    courseId: PYTHON,
    position: 2,
    title: 'Control Flow',
    lessons: ['If Statements', 'Loops', 'Functions'],
  },
  { slug: 'react-components', courseId: REACT, position: 1, title: 'Components', lessons: ['JSX', 'Props', 'State'] },
  {
    slug: 'react-data',
    courseId: REACT,
    position: 2,
    title: 'Data and Routing',
    lessons: ['Effects', 'Fetching', 'Routing'],
  },
];

/** The movements of the student's wallet in the seed of mint, which add up to its balance of 1000. */
const MOVEMENTS = [
  { slug: 'student-opening', type: 'deposit', direction: 'in', amount: '100', daysAgo: 60 },
  { slug: 'student-carried-over', type: 'reward', direction: 'in', amount: '425', daysAgo: 60 },
  { slug: 'student-welcome', type: 'deposit', direction: 'in', amount: '500', daysAgo: 60 },
  { slug: 'student-stake', type: 'withdrawal', direction: 'out', amount: '100', daysAgo: 30 },
  { slug: 'student-mining', type: 'reward', direction: 'in', amount: '25', daysAgo: 12 },
  { slug: 'student-completion', type: 'reward', direction: 'in', amount: '50', daysAgo: 10 },
] as const;

export const seed = defineSeed({
  open: openEducation,
  // The rows and their events in one transaction, so that an interrupted seed loses no event.
  base: (education, { now, people }) =>
    education.transaction(async (tx) => {
      const since = (days: number) => ({ createdAt: daysBefore(now, days), updatedAt: daysBefore(now, days) });
      const { count: isFirst } = await tx.student.createMany({
        data: [
          {
            id: STUDENT,
            userId: people.student.id,
            displayName: people.student.name,
            gradeLevel: 12,
            country: people.student.country,
            ...since(50),
          },
        ],
        skipDuplicates: true,
      });
      await tx.course.createMany({
        data: COURSES.map((course) => ({
          ...course,
          instructorId: people.educator.id,
          status: 'published',
          publishedAt: daysBefore(now, 60),
          ...since(70),
        })),
        skipDuplicates: true,
      });
      await tx.module.createMany({
        data: MODULES.map(({ slug, ...module }) => ({
          ...module,
          id: seedId(`education.Module.${slug}`),
          durationMinutes: 180,
          ...since(70),
        })),
        skipDuplicates: true,
      });
      await tx.assessment.createMany({
        data: [
          {
            id: seedId('education.Assessment.python-basics'),
            moduleId: PYTHON_BASICS,
            courseId: PYTHON,
            title: 'Python Basics quiz',
            maxAttempts: 3,
            ...since(70),
          },
        ],
        skipDuplicates: true,
      });
      await tx.enrollment.createMany({
        data: [
          {
            id: ENROLLMENT,
            studentId: STUDENT,
            courseId: PYTHON,
            enrolledAt: daysBefore(now, 40),
            ...since(40),
          },
        ],
        skipDuplicates: true,
      });
      const inPython = { enrollmentId: ENROLLMENT, studentId: STUDENT, courseId: PYTHON, moduleId: PYTHON_BASICS };
      await tx.learningProgress.createMany({
        data: [
          {
            // The database computes the percentages: half of the first of two modules is a quarter of the course.
            id: seedId('education.LearningProgress.student-python-basics'),
            ...inPython,
            completedLessons: 2,
            timeSpentSeconds: 16_200,
            lastAccessedAt: daysBefore(now, 1),
            ...since(39),
          },
        ],
        skipDuplicates: true,
      });
      await tx.assessmentSubmission.createMany({
        data: [
          {
            id: seedId('education.AssessmentSubmission.student-python-basics'),
            ...inPython,
            score: '85',
            status: 'graded',
            answers: { q1: 'A name for a value', q2: 'int, float, str, bool', q3: 'The remainder of a division' },
            feedback: 'Well done. Look at operator precedence once more.',
            gradedById: people.educator.id,
            submittedAt: daysBefore(now, 13),
            gradedAt: daysBefore(now, 12),
            ...since(13),
          },
        ],
        skipDuplicates: true,
      });
      await tx.wallet.createMany({
        data: [{ id: WALLET, mintWalletId: WALLET, userId: people.student.id, studentId: STUDENT, ...since(90) }],
        skipDuplicates: true,
      });
      await tx.transaction.createMany({
        data: MOVEMENTS.map(({ slug, daysAgo, direction, ...movement }) => {
          // The consumer of mint's events gives the rows the same ids, so it adds none of them again.
          const mintTransactionId = seedId(`mint.Transaction.${slug}`);
          return {
            ...movement,
            id: `${mintTransactionId}-${direction}`,
            walletId: WALLET,
            direction,
            idempotencyKey: `mint:${direction}:${mintTransactionId}`,
            mintTransactionId,
            createdAt: daysBefore(now, daysAgo),
          };
        }),
        skipDuplicates: true,
      });
      if (isFirst > 0) await publishSeed(tx, { studentId: STUDENT, courseIds: [PYTHON, REACT] });
    }),
  volume,
});
