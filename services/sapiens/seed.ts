import { defineSeed, seedId } from '@azora/db-core';
import { publishSeed } from './seed/events';
import { volume } from './seed/volume';
import { openSapiens, type SapiensTransaction } from './src/index';

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
/** The items of the bank, with the parameters a and b of each and the option that the student chose. */
const ITEMS = [
  { prompt: 'Which creates a variable?', options: ['x = 5', 'x == 5', 'var x'], right: 0, chosen: 0, a: 1.2, b: 0 },
  { prompt: 'What is the type of 3 / 2?', options: ['int', 'float'], right: 1, chosen: 1, a: 0.9, b: 0.4 },
  { prompt: 'What does "2" + "3" give?', options: ['5', 'an error', '"23"'], right: 2, chosen: 0, a: 1.5, b: 0.8 },
  { prompt: 'Which name is allowed?', options: ['2nd_place', 'second_place'], right: 1, chosen: 1, a: 1, b: 0.4 },
];
const SKILL = seedId('sapiens.Skill.python-basics');
const CARDS = [
  { slug: 'tuple', front: 'What is a tuple?', back: 'A list that does not change.', ratings: ['good', 'good', 'hard'] },
  { slug: 'float', front: 'What is a float?', back: 'A number with a fraction.', ratings: [] },
] as const;

export const seed = defineSeed({
  open: openSapiens,
  // The rows and their events in one transaction, so that an interrupted seed loses no event.
  base: (sapiens, { now, people }) =>
    sapiens.transaction(async (tx) => {
      const facts: Facts = {
        studentId: people.student.id,
        courseId: seedId('education.Course.python'),
        ago: (days, minutes = 0) => new Date(now.getTime() - days * DAY_MS + minutes * MINUTE_MS),
      };
      const isFirst = await seedProfile(tx, facts);
      await seedSession(tx, facts);
      await seedPath(tx, facts);
      await seedQuestions(tx, facts);
      await seedBank(tx, facts);
      await seedAssessment(tx, facts);
      await seedCards(tx, facts);
      // Level, ability, mastery, strengths and weaknesses follow from these rows.
      await tx.$executeRaw`SELECT refresh_profile(${facts.studentId}, ${facts.ago(1)}::timestamptz)`;
      if (isFirst) await publishSeed(tx, facts.studentId);
    }),
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

/** Whether the profile is new. */
async function seedProfile(tx: SapiensTransaction, { studentId, ago }: Facts): Promise<boolean> {
  const profile = {
    id: seedId('sapiens.StudentProfile.student'),
    studentId,
    learningStyle: 'visual' as const,
    goals: 'Become a software developer',
    interests: ['Programming', 'Mathematics'],
    lastActiveAt: ago(1),
    ...written(ago(20), ago(1)),
  };
  const { count } = await tx.studentProfile.createMany({ data: profile, skipDuplicates: true });
  return count > 0;
}

async function seedSession(tx: SapiensTransaction, { studentId, courseId, ago }: Facts): Promise<void> {
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
  await tx.tutoringSession.createMany({ data: session, skipDuplicates: true });
  await tx.message.createMany({ data: messages, skipDuplicates: true });
  await tx.learningInsight.createMany({ data: insights, skipDuplicates: true });
}

async function seedPath(tx: SapiensTransaction, { studentId, courseId, ago }: Facts): Promise<void> {
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
  await tx.learningPath.createMany({ data: path, skipDuplicates: true });
  await tx.pathStep.createMany({ data: steps, skipDuplicates: true });
  await tx.progress.createMany({ data: progress, skipDuplicates: true });
}

async function seedQuestions(tx: SapiensTransaction, { studentId, ago }: Facts): Promise<void> {
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
  await tx.question.createMany({ data: [answered, open], skipDuplicates: true });
}

async function seedBank(tx: SapiensTransaction, { ago }: Facts): Promise<void> {
  const skill = {
    id: SKILL,
    slug: 'python-basics',
    name: 'Variables and types',
    topic: 'Python Basics',
    ...written(ago(30)),
  };
  const items = ITEMS.map(({ prompt, options, right, a, b }, index) => ({
    id: seedId(`sapiens.Item.python-basics-${index + 1}`),
    skillId: SKILL,
    prompt,
    options,
    correctOption: right,
    discrimination: a,
    location: b,
    ...written(ago(30)),
  }));
  await tx.skill.createMany({ data: skill, skipDuplicates: true });
  await tx.item.createMany({ data: items, skipDuplicates: true });
}

async function seedAssessment(tx: SapiensTransaction, { studentId, courseId, ago }: Facts): Promise<void> {
  const assessmentId = seedId('sapiens.Assessment.python-basics');
  const assessment = {
    id: assessmentId,
    studentId,
    courseId,
    topic: 'Python Basics',
    status: 'completed',
    stopReason: 'exhausted',
    maxItems: 10,
    score: ITEMS.filter(({ chosen, right }) => chosen === right).length / ITEMS.length,
    feedback: 'Strong on variables; look again at text and numbers.',
    startedAt: ago(4),
    endedAt: ago(4, 12),
    ...written(ago(4), ago(4, 12)),
  } as const;
  const itemId = (index: number): string => seedId(`sapiens.AssessmentItem.python-basics-${index + 1}`);
  const items = ITEMS.map(({ right, chosen, a, b, ...item }, index) => ({
    id: itemId(index),
    assessmentId,
    itemId: seedId(`sapiens.Item.python-basics-${index + 1}`),
    position: index + 1,
    ...item,
    discrimination: a,
    location: b,
    difficulty: 1 / (1 + Math.exp(-b)),
    correctOption: right,
    chosenOption: chosen,
    answeredAt: ago(4, index * 3 + 2),
    ...written(ago(4, index * 3), ago(4, index * 3 + 2)),
  }));
  const attempts = ITEMS.map(({ right, chosen }, index) => ({
    id: seedId(`sapiens.SkillAttempt.python-basics-${index + 1}`),
    studentId,
    skillId: SKILL,
    number: index + 1,
    isCorrect: chosen === right,
    source: 'assessment' as const,
    assessmentItemId: itemId(index),
    // The database computes the mastery after the attempt.
    probability: 0,
    createdAt: ago(4, index * 3 + 2),
  }));
  await tx.assessment.createMany({ data: assessment, skipDuplicates: true });
  await tx.assessmentItem.createMany({ data: items, skipDuplicates: true });
  await tx.skillAttempt.createMany({ data: attempts, skipDuplicates: true });
}

/** The schedule of a card follows from its reviews, one a day. */
async function seedCards(tx: SapiensTransaction, { studentId, ago }: Facts): Promise<void> {
  const cardId = (slug: string): string => seedId(`sapiens.Card.${slug}`);
  const cards = CARDS.map(({ slug, front, back }) => ({
    id: cardId(slug),
    studentId,
    skillId: SKILL,
    front,
    back,
    dueAt: ago(4),
    ...written(ago(4)),
  }));
  const reviews = CARDS.flatMap(({ slug, ratings }) =>
    ratings.map((rating, index) => ({
      id: seedId(`sapiens.CardReview.${slug}-${index + 1}`),
      cardId: cardId(slug),
      number: index + 1,
      rating,
      reviewedAt: ago(3 - index),
      createdAt: ago(3 - index),
    })),
  );
  await tx.card.createMany({ data: cards, skipDuplicates: true });
  await tx.cardReview.createMany({ data: reviews, skipDuplicates: true });
}
