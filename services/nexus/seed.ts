import { defineSeed, type SeedContext, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { type Nexus, openNexus, refreshProfiles } from './src/index';

const HOUR_MS = 3_600_000;

const PROFILES = [
  ['student', ['python', 'data', 'react'], { time: 'evening', format: 'video' }],
  ['educator', ['teaching', 'python'], { time: 'morning', format: 'text' }],
  ['employer', ['hiring', 'web'], { time: 'morning', format: 'summary' }],
] as const;

const PYTHON = { itemType: 'course', itemId: seedId('education.Course.python') };
const REACT = { itemType: 'course', itemId: seedId('education.Course.react') };
const PYTHON_BASICS = { itemType: 'module', itemId: seedId('education.Module.python-basics') };
const ANALYSIS = { itemType: 'job', itemId: seedId('forge.Job.python-analysis') };
const DASHBOARD = { itemType: 'job', itemId: seedId('forge.Job.react-dashboard') };

const ITEMS = [
  { ...PYTHON, tags: ['python', 'data'] },
  { ...REACT, tags: ['react', 'web'] },
  { ...PYTHON_BASICS, tags: ['python'] },
  { ...ANALYSIS, tags: ['python', 'data'] },
  { ...DASHBOARD, tags: ['react', 'web'] },
];

/** The person, the time in hours ago, the kind, the item and the duration of each interaction. */
const INTERACTIONS = [
  ['student', 40, 'search', { itemType: 'course', itemId: 'python' }, null],
  ['student', 39, 'view', PYTHON, 95_000],
  ['student', 38, 'click', PYTHON, null],
  ['student', 20, 'complete', PYTHON_BASICS, 5_400_000],
  ['student', 3, 'view', DASHBOARD, 41_000],
  ['educator', 60, 'complete', PYTHON, 3_600_000],
  ['educator', 50, 'click', ANALYSIS, null],
  ['employer', 30, 'view', DASHBOARD, 20_000],
  ['employer', 29, 'click', REACT, null],
] as const;

export const seed = defineSeed({ open: openNexus, base, volume });

async function base(nexus: Nexus, context: SeedContext): Promise<void> {
  await seedProfiles(nexus, context);
  await seedItems(nexus, context);
  await seedInteractions(nexus, context);
  await seedRecommendations(nexus, context);
  await seedTrail(nexus, context);
  // The interactions count for others, so that the tables of popularity and pairs have rows.
  while ((await refreshProfiles(nexus)) > 0);
}

async function seedProfiles({ prisma }: Nexus, { now, people }: SeedContext): Promise<void> {
  const createdAt = hoursBefore(now, 72);
  await prisma.userProfile.createMany({
    data: PROFILES.map(([person, interests, preferences]) => ({
      id: seedId(`nexus.UserProfile.${person}`),
      userId: people[person].id,
      interests: [...interests],
      preferences,
      behavior: { sessions: 3 },
      lastActiveAt: hoursBefore(now, 3),
      createdAt,
      updatedAt: createdAt,
    })),
    skipDuplicates: true,
  });
}

async function seedItems({ prisma }: Nexus, { now }: SeedContext): Promise<void> {
  const createdAt = hoursBefore(now, 72);
  await prisma.item.createMany({
    data: ITEMS.map((item) => ({ ...item, createdAt, updatedAt: createdAt })),
    skipDuplicates: true,
  });
}

async function seedInteractions({ prisma }: Nexus, { now }: SeedContext): Promise<void> {
  await prisma.interaction.createMany({
    data: INTERACTIONS.map(([person, hours, kind, item, durationMs], index) => ({
      id: seedId(`nexus.Interaction.${index}`),
      profileId: seedId(`nexus.UserProfile.${person}`),
      eventId: `seed-${index}`,
      kind,
      ...item,
      durationMs,
      occurredAt: hoursBefore(now, hours),
      createdAt: hoursBefore(now, hours),
    })),
    skipDuplicates: true,
  });
}

async function seedRecommendations({ prisma }: Nexus, { now }: SeedContext): Promise<void> {
  const profileId = seedId('nexus.UserProfile.student');
  const at = hoursBefore(now, 2);
  const common = { profileId, createdAt: at, updatedAt: at };
  await prisma.recommendation.createMany({
    data: [
      {
        ...common,
        id: seedId('nexus.Recommendation.react'),
        itemType: 'course',
        itemId: seedId('education.Course.react'),
        score: 0.91,
        reason: 'You finished Python Basics and looked at a React job.',
      },
      {
        ...common,
        id: seedId('nexus.Recommendation.job'),
        itemType: 'job',
        itemId: seedId('forge.Job.python-analysis'),
        score: 0.84,
        reason: 'It asks for what you have learned.',
        status: 'accepted',
        shownAt: at,
        answeredAt: at,
      },
    ],
    skipDuplicates: true,
  });
}

async function seedTrail({ prisma }: Nexus, { now, people }: SeedContext): Promise<void> {
  await prisma.auditLog.createMany({
    data: [
      {
        id: seedId('nexus.AuditLog.preferences'),
        userId: people.student.id,
        action: 'preferences.changed',
        resourceType: 'user-profile',
        resourceId: seedId('nexus.UserProfile.student'),
        details: { time: 'evening' },
        ipAddress: '196.25.1.1',
        createdAt: hoursBefore(now, 70),
      },
    ],
    skipDuplicates: true,
  });
}

function hoursBefore(now: Date, hours: number): Date {
  return new Date(now.getTime() - hours * HOUR_MS);
}
