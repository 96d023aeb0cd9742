/** The frame of the page: what was run, the views, and the sample that is open. */
import { board, failure, VIEWS, view } from './state'
import { t } from './text'
import { Cells } from './views/cells'
import { Charts } from './views/charts'
import { Compare } from './views/compare'
import { Provenance } from './views/provenance'
import { Verdict } from './views/verdict'

export function App() {
  if (failure.value !== null) return <p role="alert">{t('failed', { why: failure.value })}</p>
  if (!board.value) return <p role="status">{t('loading')}</p>
  return (
    <>
      <Verdict />
      <Cells />
      <nav>
        {VIEWS.map((name) => (
          <button
            key={name}
            type="button"
            aria-pressed={view.value === name}
            onClick={() => {
              view.value = name
            }}
          >
            {t(`view.${name}`)}
          </button>
        ))}
      </nav>
      <main>
        {view.value === 'charts' && <Charts />}
        {view.value === 'provenance' && <Provenance />}
        {view.value === 'compare' && <Compare />}
      </main>
    </>
  )
}
