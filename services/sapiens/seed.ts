import { defineSeed, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { openSapiens, type Sapiens } from './src/index';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const TALK = [
  { role: 'student', content: 'How do I create a variable in Python?' },
  { role: 'tutor', content: 'Write age = 17: a name, an equals sign, a value. Now your name?', confidence: 0.98 },
  { role: 'student', content: 'name = "Themba"? Do I have to say that it is text?' },
  { role: 'tutor', content: 'Exactly so, and no: Python sees that from the quotes.', confidence: 0.97 },
] as const;
const INSIGHTS = [
  { slug: 'variables', kind: 'strength', topic: 'Variables', content: 'Names variables well.', confidence: 0.9 },
  { slug: 'types', kind: 'recommendation', topic: 'Types', content: 'Practise text and numbers.', confidence: 0.8 },
] as const;
const STEPS = [
  { slug: 'variables', kind: 'lesson', title: 'Variables and data types', estimatedMinutes: 360 },
  { slug: 'control-flow', kind: 'lesson', title: 'Conditions and loops', estimatedMinutes: 480 },
  { slug: 'functions', kind: 'practice', title: 'Functions and modules', estimatedMinutes: 540 },
  { slug: 'quiz', kind: 'quiz', title: 'Check what you know', estimatedMinutes: 60 },
  { slug: 'project', kind: 'project', title: 'Build a budget tracker', estimatedMinutes: 960 },
] as const;
/** The student has completed the first step and started the second. */
const PROGRESS = [
  { slug: 'variables', percent: 100, score: 0.9, timeSpentMinutes: 340, startedDaysAgo: 9, completedDaysAgo: 4 },
  { slug: 'control-flow', percent: 25, timeSpentMinutes: 110, startedDaysAgo: 3 },
];
const ITEMS = [
  { prompt: 'Which creates a variable?', options: ['x = 5', 'x == 5', 'var x'], right: 0, chosen: 0, difficulty: 0.5 },
  { prompt: 'What is the type of 3 / 2?', options: ['int', 'float'], right: 1, chosen: 1, difficulty: 0.6 },
  { prompt: 'What does "2" + "3" give?', options: ['5', 'an error', '"23"'], right: 2, chosen: 0, difficulty: 0.7 },
  { prompt: 'Which name is allowed?', options: ['2nd_place', 'second_place'], right: 1, chosen: 1, difficulty: 0.6 },
];

export const seed = defineSeed({
  open: openSapiens,
  async base(sapiens, { now, people }) {
    const facts: Facts = {
      studentId: people.student.id,
      courseId: seedId('education.Course.python'),
      ago: (days, minutes = 0) => new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS),
    };
    await seedProfile(sapiens, facts);
    await seedSession(sapiens, facts);
    await seedPath(sapiens, facts);
    await seedQuestions(sapiens, facts);
    await seedAssessment(sapiens, facts);
  },
  volume,
});

interface Facts {
  readonly studentId: string;
  readonly courseId: string;
  /** The time that is this many days before today and this many minutes into that day. */
  readonly ago: (days: number, minutes?: number) => Date;
}

function written(createdAt: Date, updatedAt = createdAt) {
  return { createdAt, updatedAt };
}

async function seedProfile({ prisma }: Sapiens, { studentId, ago }: Facts): Promise<void> {
  const profile = {
    id: seedId('sapiens.StudentProfile.student'),
    studentId,
    learningStyle: 'visual' as const,
    goals: 'Become a software developer',
    interests: ['Programming', 'Mathematics'],
    strengths: ['Variables'],
    weaknesses: ['Text and numbers'],
    ability: 0.6,
    topicMastery: { 'Python Basics': 0.75 },
    lastActiveAt: ago(1),
    ...written(ago(20), ago(1)),
  };
  await prisma.studentProfile.createMany({ data: profile, skipDuplicates: true });
}

async function seedSession({ prisma }: Sapiens, { studentId, courseId, ago }: Facts): Promise<void> {
  const sessionId = seedId('sapiens.TutoringSession.python-basics');
  const [startedAt, endedAt] = [ago(5), ago(5, 30)];
  const session = {
    id: sessionId,
    studentId,
    courseId,
    topic: 'Python Basics',
    status: 'completed',
    startedAt,
    endedAt,
    durationMinutes: 30,
    rating: 5,
    summary: 'Created first variables and saw that Python infers their types.',
    ...written(startedAt, endedAt),
  } as const;
  const messages = TALK.map((message, index) => ({
    id: seedId(`sapiens.Message.python-basics-${index + 1}`),
    sessionId,
    position: index + 1,
    ...message,
    ...written(ago(5, index * 2)),
  }));
  const insights = INSIGHTS.map(({ slug, ...insight }) => {
    return { id: seedId(`sapiens.LearningInsight.${slug}`), sessionId, ...insight, ...written(endedAt) };
  });
  await prisma.tutoringSession.createMany({ data: session, skipDuplicates: true });
  await prisma.message.createMany({ data: messages, skipDuplicates: true });
  await prisma.learningInsight.createMany({ data: insights, skipDuplicates: true });
}

async function seedPath({ prisma }: Sapiens, { studentId, courseId, ago }: Facts): Promise<void> {
  const pathId = seedId('sapiens.LearningPath.python-mastery');
  const path = {
    id: pathId,
    studentId,
    courseId,
    title: 'Python Mastery Path',
    subject: 'Programming',
    description: 'From the first variable to a program of your own.',
    startLevel: 'beginner',
    targetLevel: 'intermediate',
    estimatedHours: 40,
    startedAt: ago(10),
    ...written(ago(10)),
  } as const;
  const stepId = (slug: string): string => seedId(`sapiens.PathStep.${slug}`);
  const steps = STEPS.map(({ slug, ...step }, index) => {
    return { id: stepId(slug), pathId, position: index + 1, ...step, ...written(ago(10)) };
  });
  const progress = PROGRESS.map(({ slug, startedDaysAgo, completedDaysAgo, ...rest }) => ({
    id: seedId(`sapiens.Progress.${slug}`),
    pathId,
    stepId: stepId(slug),
    startedAt: ago(startedDaysAgo),
    completedAt: completedDaysAgo === undefined ? null : ago(completedDaysAgo),
    ...rest,
    ...written(ago(startedDaysAgo), ago(completedDaysAgo ?? 1)),
  }));
  await prisma.learningPath.createMany({ data: path, skipDuplicates: true });
  await prisma.pathStep.createMany({ data: steps, skipDuplicates: true });
  await prisma.progress.createMany({ data: progress, skipDuplicates: true });
}

async function seedQuestions({ prisma }: Sapiens, { studentId, ago }: Facts): Promise<void> {
  const answered = {
    id: seedId('sapiens.Question.list-or-tuple'),
    studentId,
    topic: 'Data Types',
    question: 'When do I use a tuple instead of a list?',
    answer: 'When the values belong together and do not change, such as a point on a map.',
    difficulty: 0.4,
    confidence: 0.95,
    helpful: true,
    answeredAt: ago(4, 1),
    ...written(ago(4), ago(4, 1)),
  };
  const open = {
    id: seedId('sapiens.Question.while-or-for'),
    studentId,
    topic: 'Loops',
    question: 'How do I choose between while and for?',
    ...written(ago(1)),
  };
  await prisma.question.createMany({ data: [answered, open], skipDuplicates: true });
}

async function seedAssessment({ prisma }: Sapiens, { studentId, courseId, ago }: Facts): Promise<void> {
  const assessmentId = seedId('sapiens.Assessment.python-basics');
  const assessment = {
    id: assessmentId,
    studentId,
    courseId,
    topic: 'Python Basics',
    status: 'completed',
    difficulty: 0.65,
    maxItems: ITEMS.length,
    score: ITEMS.filter(({ chosen, right }) => chosen === right).length / ITEMS.length,
    feedback: 'Strong on variables; look again at text and numbers.',
    startedAt: ago(4),
    endedAt: ago(4, 12),
    ...written(ago(4), ago(4, 12)),
  } as const;
  const items = ITEMS.map(({ right, chosen, ...item }, index) => ({
    id: seedId(`sapiens.AssessmentItem.python-basics-${index + 1}`),
    assessmentId,
    position: index + 1,
    ...item,
    correctOption: right,
    chosenOption: chosen,
    answeredAt: ago(4, index * 3 + 2),
    ...written(ago(4, index * 3), ago(4, index * 3 + 2)),
  }));
  await prisma.assessment.createMany({ data: assessment, skipDuplicates: true });
  await prisma.assessmentItem.createMany({ data: items, skipDuplicates: true });
}
