// The bundler takes style sheets by their import, which TypeScript 6 wants declared.
declare module '*.css';
