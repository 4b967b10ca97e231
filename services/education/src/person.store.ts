import { idInput } from '@azora/db-core/input';
import type { Education } from './client';
import { readInput } from './errors';

/** Rows by table, with the names of columns. */
export type PersonExport = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

export interface PersonErasure {
  /** 1, or 0 when no student has this user. */
  readonly students: number;
  /** Grades that no longer name the person as the grader. */
  readonly grades: number;
  /** Certificates that no longer name the person as the one who revoked them. */
  readonly certificates: number;
}

/**
 * Everything that this database holds about a user: as a student, as an instructor and a grader, and in the audit log.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function exportPerson(education: Education, userId: string): Promise<PersonExport> {
  const values = [readInput(idInput, userId)];
  const [row] = await education.query<{ exported: PersonExport }>({
    text: 'SELECT export_person($1) AS exported',
    values,
  });
  return row?.exported ?? {};
}

/**
 * Removes the personal data of a student in one transaction: the name, the country, the grade level, the id of the user, the answers,
 * the feedback and the name on certificates. Open reservations and active enrollments end. Of a teacher, it removes the id of the
 * user in grades and revoked certificates. Records of money, courses and the audit log are retained. A repeated call changes nothing.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function erasePerson(education: Education, userId: string): Promise<PersonErasure> {
  const values = [readInput(idInput, userId)];
  const text = 'SELECT erase_person($1) AS erasure';
  const [row] = await education.query<{ erasure: PersonErasure }>({ text, values });
  return row?.erasure ?? { students: 0, grades: 0, certificates: 0 };
}
