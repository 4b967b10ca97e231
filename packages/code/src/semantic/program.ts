import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from '@typescript/typescript6';

/** The endings that stand behind the name of a package of the tree, tried in this order. */
const SOURCES = ['src/index.ts', 'src/index.tsx', 'index.ts', 'src/index.js', 'index.js'];

const OPTIONS: ts.CompilerOptions = {
  allowJs: true,
  checkJs: false,
  noEmit: true,
  skipLibCheck: true,
  strict: true,
  target: ts.ScriptTarget.ESNext,
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  allowImportingTsExtensions: true,
  esModuleInterop: true,
  resolveJsonModule: false,
  jsx: ts.JsxEmit.Preserve,
  experimentalDecorators: true,
  lib: ['lib.esnext.d.ts'],
  types: [],
  maxNodeModuleJsDepth: 0,
};

/** The types of the language itself. All programs of the process share them, because they are the largest part of a small one. */
const LIBRARY = ts.getDefaultLibFilePath(OPTIONS).replace(/[^/]*$/, '');
const LIBRARIES = new Map<string, ts.SourceFile | undefined>();

/** The texts of a tree as the compiler sees them, each parsed once. Other files are read from the disk. */
export class ProgramHost {
  readonly options: ts.CompilerOptions;
  readonly #texts = new Map<string, string>();
  readonly #parsed = new Map<string, ts.SourceFile>();
  readonly #outside = new Map<string, ts.SourceFile | undefined>();
  readonly #packages = new Map<string, string>();
  readonly #imports = new Map<string, ReadonlySet<string>>();
  readonly #cache: ts.ModuleResolutionCache;
  readonly #host: ts.CompilerHost;
  #program: ts.Program | undefined;

  constructor(readonly root: string) {
    this.options = { ...OPTIONS, ...pathsOf(root) };
    this.#cache = ts.createModuleResolutionCache(root, (name) => name, this.options);
    const base = ts.createCompilerHost(this.options);
    this.#host = {
      ...base,
      getCurrentDirectory: () => root,
      fileExists: (file) => this.#texts.has(file) || base.fileExists(file),
      readFile: (file) => this.#texts.get(file) ?? base.readFile(file),
      getSourceFile: (file, version) => this.#sourceFile(file, version, base),
      resolveModuleNameLiterals: (names, from) => this.#resolveAll(names, from),
    };
  }

  /** Replaces the text of a file; undefined removes the file. */
  set(relative: string, text: string | undefined): void {
    const file = this.absolute(relative);
    // A file that appears or disappears changes what an import finds.
    if (this.#texts.has(file) !== (text !== undefined)) this.#cache.clear();
    this.#parsed.delete(file);
    if (text !== undefined) {
      this.#texts.set(file, text);
      this.#findPackage(path.posix.dirname(file));
      return;
    }
    this.#texts.delete(file);
    this.#imports.delete(file);
  }

  /** The program over the files of the tree; it takes over what did not change from the program before. */
  build(): ts.Program {
    const rootNames = [...this.#texts.keys()].sort();
    this.#program = ts.createProgram({ rootNames, options: this.options, host: this.#host, ...this.#before() });
    return this.#program;
  }

  absolute(relative: string): string {
    return path.posix.join(this.root, relative);
  }

  /** The path inside the tree; undefined for a file that the graph does not know. */
  relative(file: string): string | undefined {
    return this.#texts.has(file) ? path.posix.relative(this.root, file) : undefined;
  }

  /** The files of the tree that a file imports. */
  importsOf(relative: string): ReadonlySet<string> {
    return this.#imports.get(this.absolute(relative)) ?? new Set();
  }

  #before(): { oldProgram?: ts.Program } {
    return this.#program === undefined ? {} : { oldProgram: this.#program };
  }

  #sourceFile(
    file: string,
    version: ts.ScriptTarget | ts.CreateSourceFileOptions,
    base: ts.CompilerHost,
  ): ts.SourceFile | undefined {
    const text = this.#texts.get(file);
    if (text === undefined) {
      const outside = file.startsWith(LIBRARY) ? LIBRARIES : this.#outside;
      if (!outside.has(file)) outside.set(file, base.getSourceFile(file, version));
      return outside.get(file);
    }
    const parsed = this.#parsed.get(file) ?? ts.createSourceFile(file, text, version, true);
    this.#parsed.set(file, parsed);
    return parsed;
  }

  #resolveAll(
    names: readonly ts.StringLiteralLike[],
    from: string,
  ): readonly ts.ResolvedModuleWithFailedLookupLocations[] {
    const resolved = names.map(({ text }) => this.#resolve(text, from));
    const files = resolved.flatMap(({ resolvedModule }) => resolvedModule?.resolvedFileName ?? []);
    this.#imports.set(from, new Set(files.flatMap((file) => this.relative(file) ?? [])));
    return resolved;
  }

  #resolve(name: string, from: string): ts.ResolvedModuleWithFailedLookupLocations {
    const inTree = this.#inPackage(name);
    if (inTree !== undefined) return { resolvedModule: { resolvedFileName: inTree, extension: path.extname(inTree) } };
    const found = ts.resolveModuleName(name, from, this.options, this.#host, this.#cache);
    return this.#isIgnored(found.resolvedModule?.resolvedFileName) ? { resolvedModule: undefined } : found;
  }

  /**
   * Whether a file below the root is not one of the tree, such as generated code. An index must not depend on what was built, and the
   * types of a generated database client can take more memory than the tree.
   */
  #isIgnored(file: string | undefined): boolean {
    return file?.startsWith(`${this.root}/`) === true && !file.includes('/node_modules/') && !this.#texts.has(file);
  }

  /** The source of a package of the tree, such as `@scope/name` or `@scope/name/part`: its build may be old or missing. */
  #inPackage(name: string): string | undefined {
    const own = /^(@[^/]+\/)?[^/]+/.exec(name)?.[0] ?? name;
    const folder = this.#packages.get(own);
    if (folder === undefined) return undefined;
    const part = name.slice(own.length + 1);
    const endings =
      part === '' ? SOURCES : [`src/${part}.ts`, `src/${part}/index.ts`, `${part}.ts`, `${part}.js`, part];
    return endings.map((ending) => path.posix.join(folder, ending)).find((file) => this.#texts.has(file));
  }

  #findPackage(folder: string): void {
    for (let at = folder; at.length > this.root.length && !this.#folders.has(at); at = path.posix.dirname(at)) {
      this.#folders.add(at);
      const manifest = path.posix.join(at, 'package.json');
      const name = existsSync(manifest) ? readJson(manifest)?.['name'] : undefined;
      if (typeof name === 'string') this.#packages.set(name, at);
    }
  }

  readonly #folders = new Set<string>();
}

/** The aliases of modules that the `tsconfig.json` at the root declares. */
function pathsOf(root: string): ts.CompilerOptions {
  const file = path.posix.join(root, 'tsconfig.json');
  if (!existsSync(file)) return {};
  const { config } = ts.readConfigFile(file, (name) => readFileSync(name, 'utf8'));
  const paths = config?.compilerOptions?.paths;
  return paths === undefined
    ? {}
    : { paths, pathsBasePath: path.posix.join(root, config.compilerOptions.baseUrl ?? '.') };
}

function readJson(file: string): Readonly<Record<string, unknown>> | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
