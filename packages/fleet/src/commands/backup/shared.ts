import { type Command, Option } from 'commander';
import type { Storage } from '../../backup-store/storage';
import type { Settings } from '../../config/settings';

export interface PlaceFlags {
  readonly from?: string;
}

/** `--from`: where sets are looked for. */
export function withPlace(command: Command): Command {
  return command.addOption(
    new Option('--from <place>', 'a directory, or s3://bucket/prefix (default: AZORA_BACKUP_DIR, else .azora/backups)'),
  );
}

export async function openPlace(settings: Settings, place: string | undefined): Promise<Storage> {
  const { openStorage } = await import('../../backup-store/open-storage.js');
  return openStorage(place ?? settings.backups.location);
}
