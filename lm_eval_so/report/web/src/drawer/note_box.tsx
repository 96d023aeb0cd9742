/** A thumb and a note on one answer. */
import { t } from '../text'
import { type Note, notes, setNote } from './notes'

type Place = Pick<Note, 'request_key' | 'sample_id' | 'cell' | 'run_dir' | 'repeat'>

export function NoteBox({ place }: { place: Place }) {
  const found = notes.value.get(place.request_key)
  const change = (changed: Partial<Note>) => {
    const before = notes.peek().get(place.request_key)
    const said = { thumb: before?.thumb ?? null, note: before?.note ?? '', ...changed }
    setNote({ ...place, ...said, noted_at: new Date().toISOString() })
  }
  return (
    <div class="note">
      {(['up', 'down'] as const).map((thumb) => (
        <button
          key={thumb}
          type="button"
          class="thumb"
          aria-label={t(`thumb.${thumb}`)}
          aria-pressed={found?.thumb === thumb}
          onClick={() => change({ thumb: found?.thumb === thumb ? null : thumb })}
        >
          {thumb === 'up' ? '👍' : '👎'}
        </button>
      ))}
      <textarea
        rows={1}
        value={found?.note ?? ''}
        placeholder={t('note')}
        aria-label={t('note')}
        onInput={(event) => change({ note: event.currentTarget.value })}
      />
    </div>
  )
}
