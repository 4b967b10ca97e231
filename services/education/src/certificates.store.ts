import { newId } from '@azora/db-core';
import { idInput, textInput } from '@azora/db-core/input';
import { type Page, type PageInput, pageFields } from '@azora/db-core/paging';
import { z } from 'zod';
import type { Education } from './client';
import { certificateNotFound, readInput } from './errors';
import { $Enums, type CertificateRevocation } from './generated/client';
import { enrollmentInput } from './input';
import { type Certificate, callFunction, findRow, listRows } from './rows';

export interface CompleteCourseInput {
  readonly enrollmentId: string;
}

export interface GetCertificateInput {
  readonly certificateId: string;
}

export interface VerifyCertificateInput {
  /** The code on the certificate, in any case, with or without spaces and hyphens. */
  readonly verificationCode: string;
}

/** What everyone may know who has the verification code. */
export interface VerifiedCertificate {
  readonly number: string;
  readonly holderName: string;
  readonly courseTitle: string;
  readonly issuedAt: Date;
  readonly isValid: boolean;
  readonly revocation: CertificateRevocation | null;
  readonly revokedAt: Date | null;
}

export interface RevokeCertificateInput {
  readonly certificateId: string;
  readonly reason: CertificateRevocation;
  /** An auth.User. */
  readonly revokedById: string;
}

export interface ListCertificatesInput extends PageInput {
  readonly studentId?: string;
  readonly courseId?: string;
}

const certificateInput = z.strictObject({ certificateId: idInput });
const verifyInput = z.strictObject({ verificationCode: textInput(100, 0) });
const revokeInput = z.strictObject({
  certificateId: idInput,
  reason: z.enum($Enums.CertificateRevocation),
  revokedById: idInput,
});
const listInput = z.strictObject({ studentId: idInput.optional(), courseId: idInput.optional(), ...pageFields });

/**
 * Completes an enrollment whose lessons are done, whose required assessments are passed and whose price is paid, and issues its
 * certificate, once: a repeated call returns the certificate.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.ENROLLMENT_NOT_FOUND`, `EDUCATION.COURSE_UNFINISHED`,
 *   `EDUCATION.ASSESSMENTS_UNPASSED`, `EDUCATION.PAYMENT_PENDING`, `EDUCATION.STATUS_REFUSED`: it was dropped
 */
export async function completeCourse(education: Education, input: CompleteCourseInput): Promise<Certificate> {
  return callFunction(education, 'complete_enrollment', [readInput(enrollmentInput, input).enrollmentId, newId()]);
}

/**
 * Revokes a certificate for good. A revoked one is returned unchanged.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.CERTIFICATE_NOT_FOUND`
 */
export async function revokeCertificate(education: Education, input: RevokeCertificateInput): Promise<Certificate> {
  const { certificateId, reason, revokedById } = readInput(revokeInput, input);
  return callFunction(education, 'revoke_certificate', [certificateId, reason, revokedById]);
}

/**
 * The certificate with this verification code and whether it is valid, or null when no certificate has the code.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function verifyCertificate(
  education: Education,
  input: VerifyCertificateInput,
): Promise<VerifiedCertificate | null> {
  const code = readInput(verifyInput, input).verificationCode.replace(/[\s-]/g, '').toUpperCase();
  if (!/^[0-9A-F]{24}$/.test(code)) return null;
  const found = await findRow<Certificate>(education, 'certificates', 'verification_code', code);
  if (found === undefined) return null;
  const { number, holderName, courseTitle, issuedAt, revocation, revokedAt } = found;
  return { number, holderName, courseTitle, issuedAt, isValid: revokedAt === null, revocation, revokedAt };
}

/**
 * A certificate by its id.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`, `EDUCATION.CERTIFICATE_NOT_FOUND`
 */
export async function getCertificate(education: Education, input: GetCertificateInput): Promise<Certificate> {
  const { certificateId } = readInput(certificateInput, input);
  const certificate = await findRow<Certificate>(education, 'certificates', 'id', certificateId);
  if (certificate === undefined) throw certificateNotFound({ certificateId });
  return certificate;
}

/**
 * A page of the certificates that meet every given filter, newest first, revoked ones included.
 * @throws {SuiteError} `EDUCATION.INVALID_INPUT`
 */
export async function listCertificates(
  education: Education,
  input: ListCertificatesInput = {},
): Promise<Page<Certificate>> {
  const { studentId, courseId, ...page } = readInput(listInput, input);
  return listRows(
    education,
    'certificates',
    [
      ['student_id = ?', studentId],
      ['course_id = ?', courseId],
    ],
    { ...page, time: 'issued_at' },
  );
}
