/** A button that copies a text. */
import { useSignal } from '@preact/signals'
import { t } from '../text'

/** How long it says that it has copied, in milliseconds. */
const SAID_MS = 1500

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text)
    return true
  } catch {
    // A page opened from a file has no clipboard in some browsers: select and copy as of old.
    const area = document.createElement('textarea')
    area.value = text
    const holder = document.querySelector('dialog[open]') ?? document.body
    holder.append(area)
    area.select()
    const done = document.execCommand('copy')
    area.remove()
    return done
  }
}

export function Copy({ label, text }: { label: string; text: () => string }) {
  const said = useSignal('')
  return (
    <button
      type="button"
      class="link copy"
      onClick={async () => {
        said.value = (await copied(text())) ? t('copied') : t('copy.failed')
        setTimeout(() => {
          said.value = ''
        }, SAID_MS)
      }}
    >
      <span aria-live="polite">{said.value || label}</span>
    </button>
  )
}
