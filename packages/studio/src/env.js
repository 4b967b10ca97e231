// Runs before the page, as a classic script with a nonce.
// The package reads process.env where a browser has none; this is its documented way to send no telemetry.
globalThis.process = { env: { CHECKPOINT_DISABLE: '1', NODE_ENV: 'production' } };

// Toasts, menus and the SQL editor add <style> elements. They get the nonce of this script, so that the policy of the
// page needs no 'unsafe-inline'.
{
  const { nonce } = document.currentScript;
  const create = Document.prototype.createElement;
  if (nonce) {
    Document.prototype.createElement = function createElement(name, options) {
      const element = create.call(this, name, options);
      if (element instanceof HTMLStyleElement) element.nonce = nonce;
      return element;
    };
  }
}
