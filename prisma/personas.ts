import { type SeedContext, type SeedPerson, seedId } from '@azora/db-core';

/** The password of every seeded user, for local and test databases only. */
const PASSWORD = 'Azora2025!';

const student: SeedPerson = {
  id: seedId('auth.User.student'),
  email: 'student@azora.world',
  name: 'Themba Ndlovu',
  role: 'student',
  city: 'Johannesburg',
  country: 'ZA',
  bio: 'Passionate learner from South Africa',
};

const educator: SeedPerson = {
  id: seedId('auth.User.educator'),
  email: 'educator@azora.world',
  name: 'Dr. Naledi Khumalo',
  role: 'educator',
  city: 'Cape Town',
  country: 'ZA',
  bio: 'Teaches programming so that it stays',
};

const employer: SeedPerson = {
  id: seedId('auth.User.employer'),
  email: 'employer@azora.world',
  name: 'Kofi Mensah',
  role: 'employer',
  city: 'Lagos',
  country: 'NG',
  bio: 'Builds products with people who are still learning',
};

/** Returns the input of every service's seed: three people, and today's midnight UTC as the origin of all times. */
export function seedContext(today: Date, services: readonly string[], repositoryRoot: string): SeedContext {
  const now = new Date(Date.UTC(today.getUTCFullYear(), today.getUTCMonth(), today.getUTCDate()));
  return { now, people: { student, educator, employer }, password: PASSWORD, services, repositoryRoot };
}
