/** The box of the typed query, and how far the search over the text is. */
import { effect, useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { percent } from '../format'
import { query } from '../state'
import { type Key, t } from '../text'
import { queryError, searched } from './matching'

/** Rest after the last key before the query counts, in milliseconds. */
const REST_MS = 120

export function QueryBox() {
  const typed = useSignal(query.value)
  const timer = useRef(0)
  useEffect(
    () =>
      // At once: useSignalEffect waits for a frame, and would put what was typed before over what
      // has been typed since.
      effect(() => {
        typed.value = query.value
        clearTimeout(timer.current)
      }),
    [],
  )
  const error = queryError.value
  const search = searched.value
  const searching = search !== null && search.done < search.of
  return (
    <div class="query">
      <input
        id="query"
        type="search"
        value={typed.value}
        placeholder={t('query.placeholder')}
        aria-label={t('query.label')}
        aria-invalid={error !== null}
        aria-describedby="query-said"
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => {
          const { value } = event.currentTarget
          typed.value = value
          clearTimeout(timer.current)
          timer.current = window.setTimeout(() => {
            query.value = value
          }, REST_MS)
        }}
      />
      <span id="query-said" role="status" class={error || search?.isCut ? 'said wrong' : 'said'}>
        {error && t(`query.${error.reason}` as Key, error.values)}
        {search?.isCut && t('query.cut')}
        {searching && t('query.searching', { share: percent(search.done, search.of) })}
      </span>
    </div>
  )
}
