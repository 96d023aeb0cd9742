/** Where the numbers come from: what differs between the cells, the machine, the commands. */
import { useState } from 'preact/hooks'
import type { Cell } from '../data/types'
import { count } from '../format'
import { board } from '../state'
import { t } from '../text'
import { moment, plain } from './numbers'
import { tn } from './plural'
import { compared, type Setting } from './settings'
import './views.css'

export function Provenance() {
  const manifest = board.value?.manifest
  if (!manifest) return null
  const { cells } = manifest
  return (
    <div class="provenance-view">
      <Commands cells={cells} />
      <Settings title={t('provenance.identity')} cells={cells} of={(cell) => cell.identity} />
      <Settings title={t('provenance.config')} cells={cells} of={carriedOut} />
      <Settings title={t('provenance.environment')} cells={cells} of={(cell) => cell.environment} />
      <Datasets />
      <p class="muted">
        {t('provenance.page', { when: moment(manifest.created_at), product: manifest.product })}
      </p>
    </div>
  )
}

/** What only changes how a run is carried out, and which samples it asked. */
function carriedOut(cell: Cell): unknown {
  const { selection, prompt, options, engine, limits_per_minute } = cell
  return { engine, selection, prompt, options, limits_per_minute }
}

interface OfCells {
  title: string
  cells: readonly Cell[]
  of: (cell: Cell) => unknown
}

function Settings({ title, cells, of }: OfCells) {
  const { differ, same } = compared(cells.map(of))
  const names = cells.map(({ name }) => name)
  const single = cells.length === 1
  return (
    <section>
      <h2>{title}</h2>
      {!single && differ.length === 0 && <p class="muted">{t('provenance.all_same')}</p>}
      {differ.length > 0 && (
        <SettingsTable
          label={`${title}: ${t('provenance.differ')}`}
          settings={differ}
          names={names}
        />
      )}
      {same.length > 0 &&
        (single ? (
          <SettingsTable label={title} settings={same} names={[t('provenance.value')]} />
        ) : (
          <details>
            <summary>{t('provenance.same', { n: count(same.length) })}</summary>
            <SettingsTable label={title} settings={same} names={[t('provenance.value')]} />
          </details>
        ))}
    </section>
  )
}

interface Tabled {
  label: string
  settings: readonly Setting[]
  /** A column each; one stands for all where the values are the same. */
  names: readonly string[]
}

function SettingsTable({ label, settings, names }: Tabled) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls is reached by keyboard
    <section class="scroll" tabIndex={0} aria-label={label}>
      <table class="settings">
        <thead>
          <tr>
            <th scope="col">{t('provenance.key')}</th>
            {names.map((name) => (
              <th key={name} scope="col">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {settings.map(({ path, values }) => (
            <tr key={path}>
              <th scope="row">{path}</th>
              {names.map((name, nth) => (
                <Value key={name} value={values[nth]} />
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}

function Value({ value }: { value: unknown }) {
  if (value === undefined) return <td class="muted">{t('provenance.absent')}</td>
  return <td>{plain(value)}</td>
}

function Commands({ cells }: { cells: readonly Cell[] }) {
  return (
    <section>
      <h2>{t('provenance.commands')}</h2>
      {cells.map((cell) => (
        <article class="command" key={cell.run_dir + cell.name}>
          <h3>{cell.name}</h3>
          <dl class="facts">
            <div>
              <dt>{t('provenance.run_dir')}</dt>
              <dd>
                <code>{cell.run_dir}</code>
              </dd>
            </div>
            <div>
              <dt>{t('provenance.times')}</dt>
              <dd>
                {moment(cell.started_at)} –{' '}
                {cell.ended_at ? moment(cell.ended_at) : t('provenance.running')}
              </dd>
            </div>
            <div>
              <dt>{t('provenance.fingerprint')}</dt>
              <dd>
                <code title={cell.fingerprint}>{cell.fingerprint.slice(0, 8)}</code>
              </dd>
            </div>
          </dl>
          {cell.command ? (
            <Command words={t('provenance.reproduce')} command={cell.command} />
          ) : (
            <p class="muted">{t('provenance.no_command')}</p>
          )}
          {cell.resume && <Command words={t('provenance.resume')} command={cell.resume} />}
        </article>
      ))}
    </section>
  )
}

type Copied = 'copy' | 'copied' | 'copy_failed'

export function Command({ words, command }: { words: string; command: string }) {
  const [copied, setCopied] = useState<Copied>('copy')
  const copy = async () => setCopied((await copyText(command)) ? 'copied' : 'copy_failed')
  return (
    <div class="command-copy">
      <span>{words}</span>
      <pre>
        <code>{command}</code>
      </pre>
      <button type="button" onClick={copy} aria-live="polite">
        {t(`provenance.${copied}`)}
      </button>
    </div>
  )
}

/** Pages of files have no clipboard in some browsers; the old way works there. */
async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    const area = document.createElement('textarea')
    area.value = text
    document.body.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

function Datasets() {
  const datasets = board.value?.manifest.datasets ?? []
  return (
    <section>
      <h2>{t('provenance.datasets')}</h2>
      {datasets.map((dataset) => (
        <p key={dataset.sha256 + dataset.path}>
          <strong>{dataset.id}</strong>
          {dataset.version && ` ${t('verdict.version', { version: dataset.version })}`}
          {', '}
          {tn('provenance.samples', dataset.sample_count)}, <code>{dataset.path}</code>,{' '}
          <code class="digest">sha256:{dataset.sha256}</code>
        </p>
      ))}
    </section>
  )
}
