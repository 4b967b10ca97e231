import type { Language } from '../syntax/facts';
import type { FileIndex } from './file-index';
import type { Value } from './values';

/** The files of a graph as the resolution of one file sees them; each question is recorded as a dependency of that file. */
export interface World {
  file(path: string): FileIndex | undefined;
  /** The files with a key, in the order of their paths. */
  filesOf(key: string): readonly FileIndex[];
}

type ModuleValue = Extract<Value, { is: 'module' }>;

/** How a language finds the module that an import names, and the modules whose names a file sees without an import. */
export interface ModuleRules {
  find(world: World, source: string, from: FileIndex): ModuleValue | undefined;
  /** A module inside a module, such as a package inside a package. */
  inside(world: World, module: ModuleValue, name: string): ModuleValue | undefined;
  /** The modules around a definition with this qualified name, innermost first. */
  around(world: World, from: FileIndex, qualifiedName: string): readonly ModuleValue[];
  /** Whether a member of a type is visible inside the type without a receiver. */
  readonly hasImplicitReceiver: boolean;
  /** Whether definitions of a module are found by their qualified names, because one file can add to several modules. */
  readonly byQualifiedName: boolean;
}

const folderOf = (path: string): string => (path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '');
const join = (folder: string, name: string): string => (folder === '' ? name : `${folder}/${name}`);

/** Resolves `.` and `..` in a path; undefined when it leaves the tree. */
function normalized(path: string): string | undefined {
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..' && parts.pop() === undefined) return undefined;
    if (part !== '' && part !== '.' && part !== '..') parts.push(part);
  }
  return parts.join('/');
}

const of = (file: FileIndex): ModuleValue => ({ is: 'module', path: file.facts.path, files: [file] });
const nothing = { inside: () => undefined, around: () => [], hasImplicitReceiver: false, byQualifiedName: false };

const SCRIPT_ENDINGS = [
  '',
  '.ts',
  '.tsx',
  '.mts',
  '.cts',
  '.d.ts',
  '.js',
  '.jsx',
  '.mjs',
  '.cjs',
  '/index.ts',
  '/index.tsx',
  '/index.js',
  '/index.jsx',
];

const script: ModuleRules = {
  ...nothing,
  find(world, source, from) {
    if (!source.startsWith('.')) return undefined;
    const target = normalized(join(folderOf(from.facts.path), source));
    if (target === undefined) return undefined;
    // TypeScript imports the file that its output will have: `./user.js` is `user.ts`.
    const bases = [target, target.replace(/\.([cm]?)jsx?$/, '')];
    for (const base of bases) {
      for (const ending of SCRIPT_ENDINGS) {
        const file = world.file(`${base}${ending}`);
        if (file !== undefined) return of(file);
      }
    }
    return undefined;
  },
};

/** The package or the module of Python at a path without ending. */
function pythonAt(world: World, path: string): ModuleValue | undefined {
  const file = world.file(`${path}.py`) ?? world.file(`${path}.pyi`) ?? world.file(join(path, '__init__.py'));
  if (file !== undefined) return { is: 'module', path, files: [file] };
  return world.filesOf(`python:${path}`).length > 0 ? { is: 'module', path, files: [] } : undefined;
}

const python: ModuleRules = {
  ...nothing,
  find(world, source, from) {
    const dots = /^\.*/.exec(source)?.[0].length ?? 0;
    const tail = source.slice(dots).replaceAll('.', '/');
    const home = folderOf(from.facts.path);
    if (dots > 0) {
      const base = normalized(join(home, '../'.repeat(dots - 1)));
      return base === undefined ? undefined : pythonAt(world, tail === '' ? base : join(base, tail));
    }
    // The root of the sources is not known: it is a folder around the importing file.
    for (let folder = home; ; folder = folderOf(folder)) {
      const found = pythonAt(world, join(folder, tail));
      if (found !== undefined || folder === '') return found;
    }
  },
  inside: (world, module, name) => pythonAt(world, join(module.path, name)),
};

function goPackage(world: World, folder: string): ModuleValue | undefined {
  const files = world.filesOf(`go:${folder}`);
  return files.length > 0 ? { is: 'module', path: `go:${folder}`, files } : undefined;
}

const go: ModuleRules = {
  ...nothing,
  find(world, source) {
    for (const { facts } of world.filesOf('go.mod')) {
      const inside =
        source === facts.module
          ? ''
          : source.startsWith(`${facts.module}/`)
            ? source.slice(facts.module.length + 1)
            : undefined;
      if (inside === undefined) continue;
      return goPackage(world, inside === '' ? folderOf(facts.path) : join(folderOf(facts.path), inside));
    }
    // Without go.mod, the end of the import path names the folder. The first part alone is a package of the standard library.
    const parts = source.split('/');
    for (let at = 1; at < parts.length; at += 1) {
      const found = goPackage(world, parts.slice(at).join('/'));
      if (found !== undefined) return found;
    }
    return undefined;
  },
  around(world, from) {
    const own = goPackage(world, folderOf(from.facts.path));
    return own === undefined ? [] : [own];
  },
};

/** Packages of Java and namespaces of C#: a file says to which it belongs. */
function declared(prefix: string): ModuleRules {
  const at = (world: World, path: string): ModuleValue => ({
    is: 'module',
    path,
    files: world.filesOf(`${prefix}:${path}`),
  });
  return {
    hasImplicitReceiver: true,
    byQualifiedName: true,
    find: (world, source) => at(world, source),
    inside: (world, module, name) => at(world, module.path === '' ? name : `${module.path}.${name}`),
    around(world, from, qualifiedName) {
      const own = from.facts.language === 'java' ? from.facts.module : undefined;
      // A class without a package sees the classes of its folder.
      if (own === '') return [{ is: 'module', path: '', files: world.filesOf(`java:@${folderOf(from.facts.path)}`) }];
      if (own !== undefined) return [at(world, own)];
      const parts = qualifiedName.split('.');
      return parts.map((_, index) => at(world, parts.slice(0, parts.length - 1 - index).join('.')));
    },
  };
}

/** The folder of the crate around a file: the nearest one with its root module. */
function crateOf(world: World, from: string): { readonly folder: string; readonly root: FileIndex } | undefined {
  for (let folder = folderOf(from); ; folder = folderOf(folder)) {
    const root = world.file(join(folder, 'lib.rs')) ?? world.file(join(folder, 'main.rs'));
    if (root !== undefined) return { folder, root };
    if (folder === '') return undefined;
  }
}

/** The folder in which the child modules of a file stand. */
function rustChildren(path: string): string {
  const folder = folderOf(path);
  const base = path.slice(folder === '' ? 0 : folder.length + 1).replace(/\.rs$/, '');
  return /^(mod|lib|main)$/.test(base) ? folder : join(folder, base);
}

function rustAt(world: World, folder: string, name: string): ModuleValue | undefined {
  const file = world.file(join(folder, `${name}.rs`)) ?? world.file(join(folder, `${name}/mod.rs`));
  return file === undefined ? undefined : of(file);
}

const rust: ModuleRules = {
  ...nothing,
  /** A path of whole modules; what it names inside the last of them is a member of the module. */
  find(world, source, from) {
    const parts = source.split('::');
    let at: ModuleValue | undefined = of(from);
    const [first = ''] = parts;
    if (first === 'crate') at = rustCrate(world, from);
    else if (first === 'super') at = rustParent(world, from);
    else if (first !== 'self')
      at = rustAt(world, rustChildren(from.facts.path), first) ?? otherCrate(world, from, first);
    for (const part of parts.slice(1)) {
      if (at === undefined) return undefined;
      const file: FileIndex | undefined = at.files[0];
      if (file === undefined) return undefined;
      at = part === 'super' ? rustParent(world, file) : rustAt(world, rustChildren(file.facts.path), part);
    }
    return at;
  },
  inside(world, module, name) {
    const [file] = module.files;
    return file === undefined ? undefined : rustAt(world, rustChildren(file.facts.path), name);
  },
};

function rustCrate(world: World, from: FileIndex): ModuleValue | undefined {
  const crate = crateOf(world, from.facts.path);
  return crate === undefined ? undefined : of(crate.root);
}

function rustParent(world: World, from: FileIndex): ModuleValue | undefined {
  const folder = rustChildren(from.facts.path);
  const above = folderOf(folder);
  const own = folder.slice(above === '' ? 0 : above.length + 1);
  const parent = rustAt(world, folderOf(above), above.slice(above.lastIndexOf('/') + 1));
  return own === '' ? undefined : (parent ?? rustCrate(world, from));
}

/** `use name::…` in a program names the library beside it. */
function otherCrate(world: World, from: FileIndex, name: string): ModuleValue | undefined {
  if (/^(std|core|alloc)$/.test(name)) return undefined;
  const crate = crateOf(world, from.facts.path);
  const library = crate === undefined ? undefined : world.file(join(crate.folder, 'lib.rs'));
  return library === undefined || library === from ? undefined : of(library);
}

export const MODULE_RULES: Readonly<Record<Language, ModuleRules>> = {
  typescript: script,
  tsx: script,
  javascript: script,
  python,
  go,
  java: declared('java'),
  csharp: declared('csharp'),
  rust,
};
