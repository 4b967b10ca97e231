import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import type { GivenFleet } from './fleet-fixture';
import { REPOSITORY_ROOT } from './suite-fixture';

const BIN = path.resolve(__dirname, '..', 'bin', 'azora-db.js');
const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const SCREENSHOTS = path.join(REPOSITORY_ROOT, 'build', 'screenshots');
/** A statement that the server cancels takes fifteen seconds. */
const SEE_TIMEOUT_MS = 60_000;

export interface RunningStudio {
  readonly url: URL;
  /** Sends the signal, by default that of Ctrl-C, and waits for the end. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<void>;
}

export interface OpenedPage {
  readonly page: Page;
  /** The bodies of all answers that the page received. */
  readonly bodies: readonly Promise<string>[];
  /** The URLs of other hosts that it requested. */
  readonly elsewhere: readonly string[];
  /** Reports of violations of the content security policy. */
  readonly violations: readonly string[];
  /** Waits until the text of the page matches. */
  readonly see: (text: string | RegExp) => Promise<unknown>;
  readonly text: () => Promise<string>;
  readonly show: (place: string) => Promise<void>;
  readonly shoot: (name: string) => Promise<unknown>;
  /** Types a statement into the SQL editor and runs it. */
  readonly run: (sql: string) => Promise<void>;
  /** Sends SQL from the page and returns the answer. */
  readonly ask: (service: string, sql: string) => Promise<unknown>;
  readonly close: () => Promise<void>;
}

/** Starts the compiled command in the checkout of a test fleet. */
export async function startStudio(
  { root, environment }: GivenFleet,
  ...flags: readonly string[]
): Promise<RunningStudio> {
  const env = { PATH: process.env['PATH'] ?? '', HOME: root, ...environment };
  const child = spawn(process.execPath, [BIN, 'studio', '--no-open', ...flags], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { url: await addressOf(child), stop: (signal = 'SIGINT') => stop(child, signal) };
}

function addressOf(child: ChildProcess): Promise<URL> {
  let said = '';
  return new Promise((resolve, reject) => {
    const listen = (chunk: Buffer): void => {
      said += chunk.toString();
      const [found] = /http:\/\/\S+/.exec(said) ?? [];
      if (found !== undefined) resolve(new URL(found));
    };
    child.stdout?.on('data', listen);
    child.stderr?.on('data', listen);
    child.once('close', () => reject(new Error(said)));
  });
}

async function stop(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill(signal);
  await once(child, 'close');
}

/** Opens the studio's page in a new Chromium. */
export async function openPage({ url }: RunningStudio): Promise<OpenedPage> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  const browser: Browser = await puppeteer.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-background-networking', '--disable-gpu'],
    defaultViewport: { width: 1280, height: 800 },
  });
  const page = await browser.newPage();
  const watched = watch(page, url);
  await page.goto(url.href);
  return {
    page,
    ...watched,
    see: (text) => {
      const source = typeof text === 'string' ? text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&') : text.source;
      // Code for the page is a string, because the tests are compiled without DOM types.
      const code = `new RegExp(${JSON.stringify(source)}, 'i').test(document.body.innerText)`;
      return page.waitForFunction(code, { timeout: SEE_TIMEOUT_MS });
    },
    text: async () => String(await page.evaluate('document.body.innerText')),
    show: async (place) => {
      await page.goto(new URL(place, url).href);
    },
    shoot: (name) => page.screenshot({ path: path.join(SCREENSHOTS, `${name}.png`) as `${string}.png` }),
    run: async (sql) => {
      await page.locator('.cm-content').click();
      await press(page, 'End');
      // One by one: for a selection, Chromium itself adds a style that the content security policy rejects.
      const length = Number(await page.evaluate(`document.querySelector('.cm-content').innerText.length`));
      for (let left = length; left > 0; left -= 1) await page.keyboard.press('Backspace');
      await page.keyboard.type(sql);
      await press(page, 'Enter');
    },
    ask: (service, sql) =>
      page.evaluate(
        async (at: string, text: string) => {
          const body = JSON.stringify({ procedure: 'query', query: { sql: text, parameters: [] } });
          const { localStorage } = globalThis as unknown as { localStorage: { getItem(name: string): string | null } };
          const key = localStorage.getItem('azora-studio-key') ?? '';
          const headers = { 'content-type': 'application/json', 'x-studio-key': key };
          const answer = await fetch(`/api/services/${at}/query`, { method: 'POST', headers, body });
          return answer.json();
        },
        service,
        sql,
      ),
    close: () => browser.close(),
  };
}

async function press(page: Page, key: 'End' | 'Enter'): Promise<void> {
  await page.keyboard.down('Control');
  await page.keyboard.press(key);
  await page.keyboard.up('Control');
}

function watch(page: Page, url: URL): Pick<OpenedPage, 'bodies' | 'elsewhere' | 'violations'> {
  const bodies: Promise<string>[] = [];
  const elsewhere: string[] = [];
  const violations: string[] = [];
  // The body of an answer that a navigation or the end of the studio interrupted is not available.
  page.on('requestfinished', (request) => {
    const text = request.response()?.text() ?? Promise.resolve('');
    bodies.push(text.catch(() => ''));
  });
  page.on('request', (request) => {
    const asked = new URL(request.url());
    if (asked.protocol.startsWith('http') && asked.host !== url.host) elsewhere.push(asked.href);
  });
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) violations.push(message.text());
  });
  return { bodies, elsewhere, violations };
}
