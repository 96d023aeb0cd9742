/** The keys, and the query language. */
import { useDialog } from './dialog'
import { helpIsOpen } from './frame_state'
import { type Key, t } from './text'

const KEYS: readonly [string, Key][] = [
  ['j  k  ↓  ↑', 'key.move'],
  ['Enter', 'key.open'],
  ['Esc', 'key.close'],
  ['/', 'key.search'],
  ['d  f', 'key.chips'],
  ['x', 'key.clear'],
  ['r', 'key.reference'],
  ['e', 'key.expand'],
  ['c', 'key.cells'],
  ['m', 'key.markdown'],
  ['w', 'key.marks'],
  ['1 – 4', 'key.views'],
  ['?', 'key.help'],
]

const QUERIES: readonly [string, Key][] = [
  ['refund "two words"', 'example.text'],
  ['status:error latency>2s', 'example.result'],
  ['tag:refund -is:failed', 'example.not'],
  ['meta.language:ko OR tag:korean', 'example.or'],
  ['cell:gpt output>=200 cost<0.01', 'example.cell'],
]

const close = () => {
  helpIsOpen.value = false
}

function Lines({ of }: { of: readonly [string, Key][] }) {
  return (
    <dl class="help-lines">
      {of.map(([what, key]) => (
        <div key={what}>
          <dt>
            <kbd>{what}</kbd>
          </dt>
          <dd>{t(key)}</dd>
        </div>
      ))}
    </dl>
  )
}

export function Help() {
  const dialog = useDialog(helpIsOpen.value)
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={close}>
      <header>
        <h2 id="help-title">{t('help')}</h2>
        <button type="button" class="quiet" aria-label={t('close')} onClick={close}>
          ✕
        </button>
      </header>
      <div class="help-columns">
        <section>
          <h3>{t('help.keys')}</h3>
          <Lines of={KEYS} />
        </section>
        <section>
          <h3>{t('help.query')}</h3>
          <Lines of={QUERIES} />
          <p class="muted">{t('help.fields')}</p>
          <p class="fields">
            id, tag, meta.…, text, expected, is:different|failed|truncated|refused|empty|owed
            <br />
            status, error, finish, latency, first, input, output, cost, length, attempts, score.…,
            cell
          </p>
        </section>
      </div>
    </dialog>
  )
}
