export {
  deactivate,
  type EndAccountInput,
  type Registered,
  type RegisterInput,
  type RequestEmailVerificationInput,
  register,
  requestEmailVerification,
  softDelete,
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
export {
  type RotatedEncryption,
  type RotateEncryptionInput,
  rotateEncryption,
  type UnreadableSecret,
} from './encryption.store';
export type { AuthErrorCode } from './errors';
export { EVENTS } from './events';
export type { Proof } from './factor/proof';
export { $Enums, Prisma } from './generated/client';
export { type Device, normalizeEmail } from './input';
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
export { type UnlockAccountInput, unlockAccount } from './lockout.store';
export {
  type AppointOwnerInput,
  appointOwner,
  type ChangeMemberRoleInput,
  changeMemberRole,
  type RemoveMemberInput,
  removeMember,
  type TransferOwnershipInput,
  transferOwnership,
} from './members.store';
export {
  type ConfirmChannelInput,
  confirmChannel,
  type DisableMfaInput,
  disableMfa,
  type RegenerateRecoveryCodesInput,
  regenerateRecoveryCodes,
  type VerifyMfaInput,
  verifyMfa,
} from './mfa.store';
export type { OrganizationRole } from './organization/membership';
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
export { type Pruned, type PruneExpiredInput, pruneExpired } from './prune.store';
export { isRevoked, type RevokeTokenInput, revokeToken } from './revoked-tokens.store';
export type { SignedIn } from './session/session';
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
export { type Factor, type LoginInput, login, type MfaChallenge } from './sign-in.store';
export {
  type ConfirmTotpInput,
  confirmTotp,
  type EnrollTotpInput,
  enrollTotp,
  type TotpEnrollment,
} from './totp.store';
