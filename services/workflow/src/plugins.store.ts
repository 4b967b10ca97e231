import { textInput } from '@azora/db-core/input';
import type { Page, PageInput } from '@azora/db-core/paging';
import { gt, parse } from 'semver';
import { z } from 'zod';
import type { Workflows } from './client';
import { pluginNotFound, readInput } from './errors';
import type { Prisma } from './generated/client';
import { byInput, numberPageFields, ownedFields } from './input';
import { compileSchema } from './json-schema';
import { callFor, listRows, modelOf, type Plugin, type Row, type Workflow } from './rows';
import { jsonObjectInput } from './shapes';
import type { ChangeWorkflowInput } from './workflows.store';

const MAX_SCHEMA_CHARACTERS = 100_000;

export interface RegisterPluginInput {
  /** Unique, and the type of the nodes that use it. */
  readonly name: string;
  /** A semantic version (semver.org). */
  readonly version: string;
  readonly description?: string;
  /** The publisher, an organization. */
  readonly author?: string;
  /** A JSON Schema of draft 2020-12 for the settings of a node; any settings when absent. */
  readonly configSchema?: Prisma.JsonObject;
}

export interface UpdatePluginInput extends RegisterPluginInput {
  /** The version that the caller has read. */
  readonly fromVersion: string;
}

export interface PluginInput {
  readonly name: string;
}

export interface ListPluginsInput extends PageInput {
  readonly enabled?: boolean;
}

export interface LinkPluginInput extends ChangeWorkflowInput {
  /** The name of a plugin. */
  readonly plugin: string;
}

/** `trigger` is the type of the nodes where runs begin. */
const nameInput = textInput(255).refine((name) => name !== 'trigger', 'is the type of triggers');
/** The library also reads `v1.0.0` and text between blanks. */
const semverInput = textInput(50).refine(
  (text) => /^\d\S*$/.test(text) && parse(text)?.raw === text,
  'is not a semantic version',
);
const registerFields = {
  name: nameInput,
  version: semverInput,
  description: textInput(20_000).optional(),
  author: textInput(255).optional(),
  configSchema: jsonObjectInput(MAX_SCHEMA_CHARACTERS).optional(),
};
const registerInput = z.strictObject(registerFields);
const updateInput = z
  .strictObject({ ...registerFields, fromVersion: semverInput })
  .refine(({ version, fromVersion }) => gt(version, fromVersion), {
    path: ['version'],
    message: 'is not greater than fromVersion',
  });
const oneInput = z.strictObject({ name: textInput(255) });
const listInput = z.strictObject({ enabled: z.boolean().optional(), ...numberPageFields });
const linkInput = z.strictObject({ ...ownedFields, by: byInput, plugin: textInput(255) });

/**
 * Adds an enabled plugin. The same plugin again is returned as it is.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.SCHEMA_INVALID`, `WORKFLOW.PLUGIN_EXISTS`
 */
export async function registerPlugin(workflows: Workflows, input: RegisterPluginInput): Promise<Plugin> {
  const plugin = readInput(registerInput, input);
  if (plugin.configSchema !== undefined) compileSchema(plugin.configSchema);
  return callFor(workflows, 'SELECT * FROM register_plugin($1)', [JSON.stringify(plugin)]);
}

/**
 * Replaces a plugin by a greater version, by the precedence of semver. Published versions of workflows keep the plugin that they were
 * checked with.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.SCHEMA_INVALID`, `WORKFLOW.PLUGIN_NOT_FOUND`; `WORKFLOW.PLUGIN_CHANGED`: it does
 *   not have the version `fromVersion`
 */
export async function updatePlugin(workflows: Workflows, input: UpdatePluginInput): Promise<Plugin> {
  const { fromVersion, ...plugin } = readInput(updateInput, input);
  if (plugin.configSchema !== undefined) compileSchema(plugin.configSchema);
  return callFor(workflows, 'SELECT * FROM update_plugin($1, $2)', [fromVersion, JSON.stringify(plugin)]);
}

/**
 * Lets workflows be published with a plugin again.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.PLUGIN_NOT_FOUND`
 */
export async function enablePlugin(workflows: Workflows, input: PluginInput): Promise<Plugin> {
  return callFor(workflows, 'SELECT * FROM enable_plugin($1, true)', [readInput(oneInput, input).name]);
}

/**
 * Lets no workflow be published with a plugin. Published versions continue to use it.
 * @throws {SuiteError} as {@link enablePlugin}
 */
export async function disablePlugin(workflows: Workflows, input: PluginInput): Promise<Plugin> {
  return callFor(workflows, 'SELECT * FROM enable_plugin($1, false)', [readInput(oneInput, input).name]);
}

/**
 * A plugin by its name.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.PLUGIN_NOT_FOUND`
 */
export async function getPlugin(workflows: Workflows, input: PluginInput): Promise<Plugin> {
  const { name } = readInput(oneInput, input);
  const [row] = await workflows.query<Row>({ text: 'SELECT * FROM plugins WHERE name = $1', values: [name] });
  if (row === undefined) throw pluginNotFound({ name });
  return modelOf<Plugin>(row);
}

/**
 * A page of the plugins, newest first.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function listPlugins(workflows: Workflows, input: ListPluginsInput = {}): Promise<Page<Plugin>> {
  const { enabled, limit, cursor } = readInput(listInput, input);
  return listRows<Plugin>(workflows, { table: 'plugins', where: [['enabled = ?', enabled]], limit, cursor });
}

const LINK = 'SELECT * FROM link_plugin($1, $2, $3, $4, $5)';

/**
 * Lets a workflow use a plugin. Linking it again returns the workflow unchanged.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`, `WORKFLOW.WORKFLOW_NOT_FOUND`, `WORKFLOW.WORKFLOW_ARCHIVED`, `WORKFLOW.PLUGIN_NOT_FOUND`
 */
export async function linkPlugin(workflows: Workflows, input: LinkPluginInput): Promise<Workflow> {
  const { workflowId, ownerId, plugin, by = null } = readInput(linkInput, input);
  return callFor(workflows, LINK, [workflowId, ownerId, plugin, true, by]);
}

/**
 * Takes a plugin from a workflow. Published versions keep it. Without a link, the workflow is returned unchanged.
 * @throws {SuiteError} as {@link linkPlugin}
 */
export async function unlinkPlugin(workflows: Workflows, input: LinkPluginInput): Promise<Workflow> {
  const { workflowId, ownerId, plugin, by = null } = readInput(linkInput, input);
  return callFor(workflows, LINK, [workflowId, ownerId, plugin, false, by]);
}

/**
 * The plugins that a workflow is linked with, by their names.
 * @throws {SuiteError} `WORKFLOW.INVALID_INPUT`
 */
export async function listLinkedPlugins(
  workflows: Workflows,
  input: Omit<ChangeWorkflowInput, 'by'>,
): Promise<readonly Plugin[]> {
  const { workflowId, ownerId } = readInput(z.strictObject(ownedFields), input);
  const text = `SELECT p.* FROM plugins AS p JOIN workflow_plugins AS l ON l.plugin_id = p.id JOIN workflows AS w ON w.id = l.workflow_id
    WHERE w.id = $1 AND w.owner_id = $2 AND w.deleted_at IS NULL ORDER BY p.name`;
  const rows = await workflows.query<Row>({ text, values: [workflowId, ownerId] });
  return rows.map((row) => modelOf<Plugin>(row));
}
