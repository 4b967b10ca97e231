/** The languages whose definitions and edges `readSymbols` reads. */
export type Language = 'typescript' | 'tsx' | 'javascript' | 'python' | 'go' | 'java' | 'csharp' | 'rust';

export type NodeKind =
  | 'file'
  | 'namespace'
  | 'class'
  | 'interface'
  | 'struct'
  | 'record'
  | 'enum'
  | 'type'
  | 'function'
  | 'method'
  | 'constructor'
  | 'property'
  | 'field'
  | 'variable';

export type EdgeKind = 'contains' | 'implements' | 'inherits' | 'calls' | 'references' | 'returns' | 'overrides';

/**
 * An expression of a source file, reduced to what decides its value or its type. It is plain data, so that the facts of a file
 * can be stored and compared.
 */
export type Expr =
  /** A name, looked up in the scopes around it, then in the imports and in the module. */
  | { readonly is: 'name'; readonly name: string }
  | { readonly is: 'member'; readonly of: Expr; readonly name: string }
  /** The result of a call. */
  | { readonly is: 'call'; readonly of: Expr; readonly args: number }
  /** A value of the type that `of` names. */
  | { readonly is: 'instance'; readonly of: Expr }
  | { readonly is: 'generic'; readonly of: Expr; readonly args: readonly Expr[] }
  /** `this` or `self`. */
  | { readonly is: 'self' }
  /** The class around it, such as Python's `cls` and Rust's `Self`. */
  | { readonly is: 'class' }
  | { readonly is: 'super' }
  /** An element of a collection, or the content of an optional, a promise or a result. */
  | { readonly is: 'element'; readonly of: Expr }
  | { readonly is: 'item'; readonly of: Expr; readonly index: number }
  | { readonly is: 'tuple'; readonly of: readonly Expr[] }
  | { readonly is: 'any'; readonly of: readonly Expr[] }
  /** An expression of another scope of the same file. */
  | { readonly is: 'at'; readonly scope: string; readonly of: Expr }
  /** A definition of the same file. */
  | { readonly is: 'node'; readonly id: string }
  /** A module, as an import statement names it. */
  | { readonly is: 'module'; readonly source: string };

/** A definition of a source file: one row of the code graph. */
export interface CodeNode {
  /** The path of the file, and after `#` the name inside the file; the n-th definition of one name ends with `~n`. */
  readonly id: string;
  readonly kind: NodeKind;
  readonly name: string;
  /** The name inside the file, such as `Store.save`. */
  readonly scopedName: string;
  /** The package, namespace or module of the file before the name. */
  readonly qualifiedName: string;
  readonly signature: string;
  readonly documentation: string | undefined;
  /** From 1, both inclusive; the comments above are part of it. */
  readonly startLine: number;
  readonly endLine: number;
}

/** A type that a type names as its base. The syntax of some languages does not tell a class from an interface. */
export interface Base {
  readonly kind: 'inherits' | 'implements';
  readonly type: Expr;
}

export interface Binding {
  readonly name: string;
  readonly value: Expr;
}

/** A definition, and what the resolution of names needs to know about it. */
export interface Definition extends CodeNode {
  /** The definition around it in the file; undefined at the top and for the file itself. */
  readonly parent: string | undefined;
  /** The offset of its name in the text, in UTF-16 code units. */
  readonly nameOffset: number;
  /** The type to which a method belongs that stands outside the type's body, as in Go and Rust. */
  readonly owner?: Expr;
  /** The declared type of a value, the declared result of a function, or the type behind an alias. */
  readonly type?: Expr;
  readonly typeParameters?: readonly Binding[];
  readonly bases: readonly Base[];
  /** Parameters and local variables of a function; several values of one name are alternatives. */
  readonly bindings: readonly Binding[];
  /** What a function without a declared result returns. */
  readonly returns: readonly Expr[];
  /** The fewest and the most arguments. */
  readonly parameters?: readonly [number, number];
  readonly parameterNames: readonly string[];
  readonly isStatic: boolean;
  /** Whether it is a method that C# calls on the type of its first parameter. */
  readonly isExtension?: boolean;
}

/** An edge as the file shows it, with the name of its target still to be looked up. */
export interface RawEdge {
  readonly kind: 'calls' | 'references' | 'returns';
  readonly from: string;
  readonly target: Expr;
  /** The number of arguments of a call; it selects among overloads. */
  readonly args: number;
  readonly line: number;
}

export interface Import {
  /** The name in the file; `*` when every exported name is visible. */
  readonly local: string;
  readonly source: string;
  /** The imported name; undefined for the module itself. */
  readonly name: string | undefined;
  /** Whether other files can import the name from this one. */
  readonly reexported: boolean;
}

/** A base that a type gets outside its body, such as `impl Trait for Type` in Rust. */
export interface Implementation {
  /** The name of the type. */
  readonly owner: string;
  readonly type: Expr;
  readonly line: number;
}

/** All that the resolution of names needs from one file. It depends on the path and the text of this file only. */
export interface FileFacts {
  readonly path: string;
  readonly language: Language | undefined;
  /** The package, namespace or module that the file declares. */
  readonly module: string;
  /** The keys under which other files find this one: its package, its namespaces, the types to which it adds methods. */
  readonly keys: readonly string[];
  readonly definitions: readonly Definition[];
  readonly imports: readonly Import[];
  /** Names that the file exports, where the language has a statement for it. */
  readonly exports: readonly Binding[];
  readonly implementations: readonly Implementation[];
  readonly edges: readonly RawEdge[];
}

/** An edge between two definitions, each named by its id. */
export interface CodeEdge {
  readonly kind: EdgeKind;
  readonly from: string;
  readonly to: string;
  /** The line of the first such reference in the file of `from`. */
  readonly line: number;
}
