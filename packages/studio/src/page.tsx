import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import '@prisma/studio-core/ui/index.css';
import './style/base.css';
import './style/shell.css';
import './style/overview.css';
import './style/data.css';
import './style/models.css';
import { watchHistory } from './routing/navigation';
import { App } from './shell/app';
import { ErrorBoundary } from './shell/states';

watchHistory();
const root = document.getElementById('root');
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <ErrorBoundary>
        <App />
      </ErrorBoundary>
    </StrictMode>,
  );
}
