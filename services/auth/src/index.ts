export { deactivate, type EndAccountInput, softDelete } from './account-end.store';
export {
  type Registered,
  type RegisterInput,
  type RequestEmailVerificationInput,
  register,
  requestEmailVerification,
  type VerifyEmailInput,
  verifyEmail,
} from './accounts.store';
export { type AuditEntry, type AuditPage, type ReadAuditInput, readAudit } from './audit.store';
export {
  type AuditDifference,
  type AuditDifferenceKind,
  type AuditHead,
  type AuditVerification,
  type VerifyAuditChainInput,
  verifyAuditChain,
} from './audit-chain.store';
export { type Auth, type AuthClient, type AuthTransaction, openAuth } from './client';
export { type CodeSender, type CodeSent, type SendCodeInput, sendCode } from './codes.store';
export { normalizeEmail } from './email';
export {
  type RotatedEncryption,
  type RotateEncryptionInput,
  rotateEncryption,
  type UnreadableSecret,
} from './encryption.store';
export { $Enums, Prisma } from './generated/client';
export type { Device } from './input';
export {
  type AcceptInvitationInput,
  acceptInvitation,
  type Invitation,
  type InvitedRole,
  type InviteInput,
  invite,
  type RevokeInvitationInput,
  revokeInvitation,
} from './invitations.store';
export {
  type ChangeMemberRoleInput,
  changeMemberRole,
  type RemoveMemberInput,
  removeMember,
  type TransferOwnershipInput,
  transferOwnership,
} from './members.store';
export type { OrganizationRole } from './membership';
export {
  type ConfirmChannelInput,
  confirmChannel,
  type DisableMfaInput,
  disableMfa,
  type VerifyMfaInput,
  verifyMfa,
} from './mfa.store';
export {
  type CloseOrganizationInput,
  type CreateOrganizationInput,
  closeOrganization,
  createOrganization,
} from './organizations.store';
export {
  type ChangePasswordInput,
  changePassword,
  type PasswordResetMessage,
  type RequestPasswordResetInput,
  type ResetPasswordInput,
  requestPasswordReset,
  resetPassword,
} from './passwords.store';
export { type Profile, type UpdateProfileInput, updateProfile } from './profile.store';
export type { Proof } from './proof';
export { type Pruned, type PruneExpiredInput, pruneExpired } from './prune.store';
export { type RegenerateRecoveryCodesInput, regenerateRecoveryCodes } from './recovery-codes.store';
export { isRevoked, type RevokeTokenInput, revokeToken } from './revoked-tokens.store';
export {
  type Authenticated,
  type AuthenticateInput,
  authenticate,
  type ListedSession,
  type ListSessionsInput,
  type LogoutEverywhereInput,
  type LogoutInput,
  listSessions,
  logout,
  logoutEverywhere,
  type RefreshInput,
  type RevokeSessionInput,
  refresh,
  revokeSession,
} from './sessions.store';
export { type AuthOptions, type AuthSettings, DEFAULT_SETTINGS, type LockoutSettings } from './settings';
export { type Factor, type LoginInput, login, type MfaChallenge, type SignedIn } from './sign-in.store';
export { type ConfirmTotpInput, confirmTotp, type EnrollTotpInput, enrollTotp, type TotpEnrolment } from './totp.store';
