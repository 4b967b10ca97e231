// A classic script with a nonce that runs before the page.
// @prisma/studio-core reads process.env, which a browser does not have. CHECKPOINT_DISABLE is its documented switch to
// disable telemetry.
globalThis.process = { env: { CHECKPOINT_DISABLE: '1', NODE_ENV: 'production' } };

// Toasts, menus and the SQL editor add <style> elements. They get the nonce of this script, so that the page's content
// security policy needs no 'unsafe-inline'.
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

// The key of this page arrives in the document that follows the address with the token, or the password. The storage
// belongs to this port alone, unlike a cookie.
{
  const key = document.querySelector('meta[name="studio-key"]')?.content;
  if (key) localStorage.setItem('azora-studio-key', key);
}
