import type { Sapiens } from './client';
import { abilityOf, isSameCard, type LoggedAnswer, type LoggedReview, replayAttempts, replayReviews } from './replay';
import { type Card, modelOf, type Row, type Skill } from './rows';

/** A row that does not follow from the rows that it is derived from. */
export interface Difference {
  readonly check: 'assessment.ability' | 'card.schedule' | 'profile.derived' | 'session.counts' | 'skill.mastery';
  readonly id: string;
}

const STUDENTS_AT_ONCE = 200;
const MAX_ERROR = 1e-6;

const CARDS = `
  SELECT c.*, (SELECT coalesce(jsonb_agg(jsonb_build_object('rating', r.rating, 'reviewedAt', r.reviewed_at) ORDER BY r.number), '[]')
    FROM card_reviews AS r WHERE r.card_id = c.id) AS log
  FROM cards AS c WHERE c.student_id = ANY ($1)`;
const MASTERY = `
  SELECT m.id, m.probability, s.prior, s.learn, s.guess, s.slip, (SELECT coalesce(array_agg(a.is_correct ORDER BY a.number), '{}')
    FROM skill_attempts AS a WHERE a.student_id = m.student_id AND a.skill_id = m.skill_id) AS log
  FROM skill_mastery AS m JOIN skills AS s ON s.id = m.skill_id WHERE m.student_id = ANY ($1)`;
const ASSESSMENTS = `
  SELECT a.id, a.ability, a.standard_error AS "standardError", (SELECT coalesce(jsonb_agg(jsonb_build_object(
      'discrimination', i.discrimination, 'location', i.location, 'isCorrect', i.chosen_option = i.correct_option)), '[]')
    FROM assessment_items AS i WHERE i.assessment_id = a.id AND i.answered_at IS NOT NULL) AS log
  FROM assessments AS a WHERE a.student_id = ANY ($1)`;
const SESSIONS = `
  SELECT s.id FROM tutoring_sessions AS s LEFT JOIN messages AS m ON m.session_id = s.id WHERE s.student_id = ANY ($1)
  GROUP BY s.id HAVING s.message_count <> count(m.id) OR s.token_count <> coalesce(sum(m.tokens), 0)`;
const PROFILES = `
  SELECT p.id FROM student_profiles AS p, derive_profile(p.student_id) AS d WHERE p.student_id = ANY ($1)
    AND (p.level, p.ability, p.topic_mastery, p.strengths, p.weaknesses)
      IS DISTINCT FROM (d.level, d.ability, d.topic_mastery, d.strengths, d.weaknesses)`;

/**
 * Replays every log in this process, with ts-fsrs for reviews, and returns what the database derived otherwise; empty when everything
 * follows. Reads whole tables, 200 students at a time. A student who acts meanwhile may be reported; call again to be sure.
 */
export async function reconcile(sapiens: Sapiens): Promise<readonly Difference[]> {
  const differences: Difference[] = [];
  for (let after = ''; ; ) {
    const students = await sapiens.query<{ student_id: string }>({
      text: 'SELECT student_id FROM student_profiles WHERE student_id > $1 ORDER BY student_id LIMIT $2',
      values: [after, STUDENTS_AT_ONCE],
    });
    const last = students.at(-1);
    if (last === undefined) return differences;
    after = last.student_id;
    differences.push(
      ...(await differencesOf(
        sapiens,
        students.map(({ student_id }) => student_id),
      )),
    );
  }
}

async function differencesOf(sapiens: Sapiens, students: readonly string[]): Promise<readonly Difference[]> {
  const read = <Found extends Row>(text: string) => sapiens.queryLong<Found>({ text, values: [students] });
  const cards = (
    await read<Row & { readonly log: readonly (Omit<LoggedReview, 'reviewedAt'> & { reviewedAt: string })[] }>(CARDS)
  )
    .map(({ log, ...row }) => ({
      card: modelOf<Card>(row),
      log: log.map((it) => ({ ...it, reviewedAt: new Date(it.reviewedAt) })),
    }))
    .filter(({ card, log }) => log.length > 0 || card.reviews > 0)
    .filter(({ card, log }) => !isSameCard(card, replayReviews(card.createdAt, log)))
    .map(({ card }) => card);
  const mastery = (await read<Skill & { probability: number; log: readonly boolean[] } & Row>(MASTERY)).filter(
    ({ probability, log, ...skill }) => Math.abs(replayAttempts(skill, log) - probability) > MAX_ERROR,
  );
  const assessments = (
    await read<{ id: string; ability: number; standardError: number; log: readonly LoggedAnswer[] }>(ASSESSMENTS)
  ).filter(({ ability, standardError, log }) => {
    const expected = abilityOf(log);
    return (
      Math.abs(expected.ability - ability) > MAX_ERROR || Math.abs(expected.standardError - standardError) > MAX_ERROR
    );
  });
  const found = (check: Difference['check'], rows: readonly { readonly id: string }[]) =>
    rows.map(({ id }) => ({ check, id }));
  return [
    ...found('card.schedule', cards),
    ...found('skill.mastery', mastery),
    ...found('assessment.ability', assessments),
    ...found('session.counts', await read<{ id: string }>(SESSIONS)),
    ...found('profile.derived', await read<{ id: string }>(PROFILES)),
  ];
}
