import { defineSeed, seedId } from '@azora/db-core';
import { volume } from './seed/volume';
import { openForge } from './src/index';

const DAY_MS = 86_400_000;
const daysBefore = (now: Date, days: number) => new Date(now.getTime() - days * DAY_MS);

const DASHBOARD = seedId('forge.Job.react-dashboard');
const APPLICATION = seedId('forge.Application.student-react-dashboard');
const CONTRACT = seedId('forge.Contract.react-dashboard');

const JOBS = [
  {
    id: DASHBOARD,
    title: 'Build React Dashboard',
    description: 'A dashboard with charts, filters and sign-in for our logistics team, in React and TypeScript.',
    category: 'Web Development',
    skills: ['React', 'TypeScript', 'Tailwind CSS'],
    budget: '500',
  },
  {
    id: seedId('forge.Job.python-analysis'),
    title: 'Python Data Analysis Script',
    description: 'A script that reads our monthly sales and reports trends per region.',
    category: 'Data Science',
    skills: ['Python', 'Pandas', 'Data Analysis'],
    budget: '200',
  },
];

const MILESTONES = [
  { slug: 'layout', position: 1, title: 'Layout and sign-in', amount: '200', dueIn: 10 },
  { slug: 'charts', position: 2, title: 'Charts and filters', amount: '300', dueIn: 25 },
].map((milestone) => ({ ...milestone, id: seedId(`forge.Milestone.react-dashboard-${milestone.slug}`) }));

export const seed = defineSeed({
  open: openForge,
  async base({ prisma }, { now, people }) {
    const since = (days: number) => ({ createdAt: daysBefore(now, days), updatedAt: daysBefore(now, days) });
    await prisma.job.createMany({
      data: JOBS.map((job) => ({
        ...job,
        employerId: people.employer.id,
        organizationId: seedId('auth.Organization.azora'),
        status: 'open',
        deadline: daysBefore(now, -30),
        publishedAt: daysBefore(now, 9),
        ...since(10),
      })),
      skipDuplicates: true,
    });
    await prisma.application.createMany({
      data: [
        {
          id: APPLICATION,
          jobId: DASHBOARD,
          freelancerId: people.student.id,
          proposedAmount: '500',
          estimatedDays: 25,
          coverLetter: 'I have built two dashboards in React and would be glad to build yours.',
          status: 'accepted',
          decidedAt: daysBefore(now, 6),
          ...since(8),
        },
      ],
      skipDuplicates: true,
    });
    await prisma.contract.createMany({
      data: [
        {
          id: CONTRACT,
          jobId: DASHBOARD,
          applicationId: APPLICATION,
          employerId: people.employer.id,
          freelancerId: people.student.id,
          terms: 'Two milestones, each paid when its work is approved.',
          amount: '500',
          status: 'active',
          startsAt: daysBefore(now, 5),
          endsAt: daysBefore(now, -25),
          ...since(6),
        },
      ],
      skipDuplicates: true,
    });
    await prisma.milestone.createMany({
      data: MILESTONES.map(({ slug: _slug, dueIn, ...milestone }) => ({
        ...milestone,
        contractId: CONTRACT,
        status: 'funded',
        dueAt: daysBefore(now, -dueIn),
        ...since(6),
      })),
      skipDuplicates: true,
    });
    await prisma.escrow.createMany({
      data: MILESTONES.map(({ slug, id, amount }) => ({
        id: seedId(`forge.Escrow.react-dashboard-${slug}`),
        contractId: CONTRACT,
        milestoneId: id,
        amount,
        payerWalletId: seedId('mint.Wallet.employer'),
        payeeWalletId: seedId('mint.Wallet.student'),
        heldAt: daysBefore(now, 5),
        ...since(5),
      })),
      skipDuplicates: true,
    });
    await prisma.dispute.createMany({
      data: [
        {
          id: seedId('forge.Dispute.react-dashboard-scope'),
          contractId: CONTRACT,
          milestoneId: MILESTONES[0]?.id ?? null,
          raisedById: people.student.id,
          reason: 'scope',
          description: 'Password reset was not part of the first milestone.',
          status: 'resolved',
          resolution: 'Password reset moves to a later contract; the amount stays.',
          resolvedById: people.educator.id,
          closedAt: daysBefore(now, 2),
          ...since(3),
        },
      ],
      skipDuplicates: true,
    });
    await prisma.skillProfile.createMany({
      data: [
        {
          id: seedId('forge.SkillProfile.student'),
          userId: people.student.id,
          headline: 'Python and React developer',
          bio: people.student.bio,
          skills: ['Python', 'JavaScript', 'React'],
          hourlyRate: '25',
          rating: '4.5',
          ratingCount: 5,
          ratingTotal: '22.5',
          completedJobs: 5,
          totalEarned: '1200',
          ...since(50),
        },
      ],
      skipDuplicates: true,
    });
  },
  volume,
});
