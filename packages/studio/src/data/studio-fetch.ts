const CUT_HEADER = 'x-studio-cut';

interface ErrorAnswer {
  readonly error?: { readonly message?: string };
}

/** A failure as Studio's protocol tells it: with status 200, in place of the rows. */
function failed(message: string): Response {
  return Response.json([{ name: 'Error', message }]);
}

/** Statements are checked while they are typed; what that answers says nothing of the rows that are shown. */
function readsRows(init: RequestInit | undefined): boolean {
  const { procedure } = JSON.parse(String(init?.body ?? '{}')) as { readonly procedure?: string };
  return procedure === 'query';
}

/**
 * `fetch` as Studio is to have it: what the studio server refuses is told by its message instead of as JSON, and an
 * answer of which the server sent only the first rows is made known.
 */
export function createStudioFetch(onCut: (isCut: boolean) => void): typeof fetch {
  return async (input, init) => {
    try {
      const response = await fetch(input, init);
      if (response.ok) {
        if (readsRows(init)) onCut(response.headers.has(CUT_HEADER));
        return response;
      }
      const answer = (await response.json().catch(() => ({}))) as ErrorAnswer;
      return failed(answer.error?.message ?? `The studio server answered ${response.status}`);
    } catch (error) {
      if (init?.signal?.aborted === true) throw error; // Studio gave it up itself
      return failed('The studio server does not answer');
    }
  };
}
