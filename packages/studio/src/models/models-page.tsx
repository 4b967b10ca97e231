import { type ReactNode, useEffect, useMemo, useState } from 'react';
import type { ModelsAnswer } from '../api/answers';
import { usePolled } from '../api/requests';
import { Link, useHash } from '../routing/navigation';
import { Failure, Loading } from '../shell/states';
import { type Diagram, referencesDiagram, serviceDiagram } from './diagram';
import { DiagramText, DiagramView } from './diagram-view';
import { type Layout, layOut } from './layout';

// Schemas change rarely, and the answer is large.
const MODELS_EVERY_MS = 300_000;

/** The diagrams: the references between all services, or the models of one service. */
export function ModelsPage(): ReactNode {
  const { answer, failure, refresh } = usePolled<ModelsAnswer>('/api/models', MODELS_EVERY_MS);
  const service = new URLSearchParams(useHash().slice(1)).get('service');
  if (answer === undefined) {
    return (
      <>
        <h1>Models</h1>
        {failure === undefined ? <Loading what="the models" /> : <Failure body={failure.body} onRetry={refresh} />}
      </>
    );
  }
  return (
    <>
      <h1>Models</h1>
      <nav aria-label="Diagrams" className="tabs">
        <Link to="/models#service=" current={service === null || service === ''}>
          Between services
        </Link>
        {answer.services.map((entry) => (
          <Link key={entry.service} to={`/models#service=${entry.service}`} current={entry.service === service}>
            {entry.service}
          </Link>
        ))}
      </nav>
      <ChosenDiagram models={answer} service={service ?? ''} />
    </>
  );
}

interface ChosenDiagramProps {
  readonly models: ModelsAnswer;
  readonly service: string;
}

function ChosenDiagram({ models, service }: ChosenDiagramProps): ReactNode {
  const chosen = models.services.find((entry) => entry.service === service);
  const diagram = useMemo(
    () => (chosen === undefined ? referencesDiagram(models) : serviceDiagram(chosen)),
    [models, chosen],
  );
  const { layout, failed } = useLayout(diagram);
  const title = chosen === undefined ? 'References between services' : `Models of ${service}`;
  if (diagram.nodes.length === 0) return <p className="state">The diagram is empty.</p>;
  return (
    <section aria-label={title}>
      {layout === undefined && failed === undefined ? <Loading what="the diagram" /> : null}
      {failed === undefined ? null : (
        <Failure body={{ code: 'STUDIO.PAGE', message: 'The diagram cannot be drawn', why: failed }} />
      )}
      {layout === undefined ? null : <DiagramView title={title} diagram={diagram} layout={layout} />}
      <DiagramText diagram={diagram} />
    </section>
  );
}

interface LayoutState {
  readonly diagram?: Diagram;
  readonly layout?: Layout;
  readonly failed?: string;
}

function useLayout(diagram: Diagram): LayoutState {
  const [state, setState] = useState<LayoutState>({});
  useEffect(() => {
    let isCurrent = true;
    layOut(diagram)
      .then((layout) => isCurrent && setState({ diagram, layout }))
      .catch((error: unknown) => isCurrent && setState({ diagram, failed: String(error) }));
    return () => {
      isCurrent = false;
    };
  }, [diagram]);
  return state.diagram === diagram ? state : {};
}
