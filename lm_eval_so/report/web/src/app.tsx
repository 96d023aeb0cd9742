/** The frame of the page: what was run, the views, and the sample that is open. */
import { useEffect, useRef } from 'preact/hooks'
import { Drawer } from './drawer/drawer'
import { FilterBar } from './filters/bar'
import { watchFrame } from './frame'
import { Help } from './help'
import { helpIsOpen } from './help_state'
import { listenToKeys } from './keys'
import { board, failure, VIEWS, view } from './state'
import { Table } from './table/table'
import { keep, locale, t, theme } from './text'
import { Cells } from './views/cells'
import { Charts } from './views/charts'
import { Compare } from './views/compare'
import { Provenance } from './views/provenance'
import { Verdict } from './views/verdict'

const THEMES = ['auto', 'light', 'dark'] as const

function Switches() {
  const chosen = THEMES.find((name) => name === theme.value) ?? 'auto'
  return (
    <div class="switches">
      <button
        type="button"
        class="quiet"
        lang={locale.value === 'ko' ? 'en' : 'ko'}
        onClick={() => {
          locale.value = locale.value === 'ko' ? 'en' : 'ko'
          keep('lm-eval-so.locale', locale.value)
        }}
      >
        {locale.value === 'ko' ? 'English' : '한국어'}
      </button>
      <button
        type="button"
        class="quiet"
        title={t('theme')}
        onClick={() => {
          theme.value = THEMES[(THEMES.indexOf(chosen) + 1) % THEMES.length] as string
          keep('lm-eval-so.theme', theme.value)
        }}
      >
        {t(`theme.${chosen}`)}
      </button>
      <button
        type="button"
        class="quiet"
        aria-label={t('help')}
        aria-keyshortcuts="?"
        onClick={() => {
          helpIsOpen.value = true
        }}
      >
        ?
      </button>
    </div>
  )
}

function Views() {
  return (
    <nav class="views" aria-label={t('views')}>
      {VIEWS.map((name, at) => (
        <button
          key={name}
          type="button"
          aria-current={view.value === name ? 'page' : undefined}
          aria-keyshortcuts={String(at + 1)}
          onClick={() => {
            view.value = name
          }}
        >
          {t(`view.${name}`)}
        </button>
      ))}
    </nav>
  )
}

function Page() {
  const scroller = useRef<HTMLDivElement>(null)
  const shown = view.value
  useEffect(() => (scroller.current ? watchFrame(scroller.current) : undefined), [shown])
  useEffect(listenToKeys, [])
  return (
    <>
      <div class="page" ref={scroller}>
        <div class="wide">
          <div class="top">
            <header class="appbar">
              <h1>
                <bdi>{board.value?.manifest.title}</bdi>
              </h1>
              <Views />
              <Switches />
            </header>
            <Verdict />
            <Cells />
          </div>
          {shown !== 'provenance' && <FilterBar />}
          <main class={shown}>
            {shown === 'table' && <Table />}
            {shown === 'charts' && <Charts />}
            {shown === 'provenance' && <Provenance />}
            {shown === 'compare' && <Compare />}
          </main>
        </div>
      </div>
      <Drawer />
      <Help />
    </>
  )
}

export function App() {
  if (failure.value !== null) {
    return (
      <p role="alert" class="alone">
        {t('failed', { why: failure.value })}
      </p>
    )
  }
  if (!board.value) {
    return (
      <p role="status" class="alone">
        {t('loading')}
      </p>
    )
  }
  return <Page />
}
