export {
  type Notifications,
  type NotificationsOptions,
  type NotificationsTransaction,
  openNotifications,
} from './client';
export {
  type DeliverInput,
  type DeliveryPage,
  type DeliveryRun,
  deliver,
  type ListDeliveriesInput,
  listDeliveries,
  type OutgoingMessage,
  type Sender,
} from './deliveries.store';
export { NOTIFICATION_ERROR_CODES, type NotificationErrorCode } from './errors';
export { EVENTS } from './events';
export {
  $Enums,
  type DeliveryMode,
  type DeliveryStatus,
  type NotificationType,
  Prisma,
} from './generated/client';
export {
  deleteNotification,
  expireNotifications,
  getNotification,
  type ListNotificationsInput,
  listNotifications,
  markAllRead,
  markRead,
  markUnread,
  type NotificationInput,
  type NotificationPage,
  pruneNotifications,
  restoreNotification,
  type SweepInput,
  type UserInput,
  unreadCount,
} from './notifications.store';
export {
  type Batch,
  type NotificationText,
  type NotifyInput,
  type NotifyManyInput,
  notify,
  notifyMany,
  notifyWithin,
  type SentChannel,
  type TemplateValues,
} from './notify.store';
export { erasePerson, exportPerson, type PersonExport } from './people.store';
export {
  DEFAULT_DELIVERY_SETTINGS,
  type DeliverySettings,
  getDeliverySettings,
  listPreferences,
  type SetDeliverySettingsInput,
  type SetPreferenceInput,
  setDeliverySettings,
  setPreference,
} from './preferences.store';
export { type Difference, reconcile } from './reconcile.store';
export type { Delivery, Notification, Preference, Template } from './rows';
export { securityAlerts } from './security-alerts';
export {
  deleteTemplate,
  findTemplate,
  type ListTemplatesInput,
  listTemplates,
  type SaveTemplateInput,
  saveTemplate,
  type TemplateInput,
  type TemplatePage,
} from './templates.store';
export { type FeedState, type WatchInput, watch } from './watch.store';
