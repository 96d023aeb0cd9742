/** Something that is folded until it is asked for; what is folded is not drawn. */
import { useSignal } from '@preact/signals'
import type { ComponentChildren } from 'preact'

interface FoldProps {
  label: string
  note?: string
  open?: boolean
  children: () => ComponentChildren
}

export function Fold({ label, note, open = false, children }: FoldProps) {
  const isOpen = useSignal(open)
  return (
    <details
      class="fold"
      open={isOpen.value}
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open
      }}
    >
      <summary>
        {label} {note && <bdi class="muted">{note}</bdi>}
      </summary>
      {isOpen.value && children()}
    </details>
  )
}
