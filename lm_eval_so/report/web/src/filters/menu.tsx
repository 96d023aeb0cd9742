/** A button that opens a small panel; Escape and a click elsewhere close it. */
import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'

interface MenuProps {
  label: string
  /** How many things are chosen in it. */
  chosen?: number
  children: ComponentChildren
}

export function Menu({ label, chosen = 0, children }: MenuProps) {
  const details = useRef<HTMLDetailsElement>(null)
  useEffect(() => {
    const close = (event: Event) => {
      const menu = details.current
      if (!menu?.open) return
      if (event instanceof KeyboardEvent) {
        if (event.key !== 'Escape') return
        event.stopPropagation()
        menu.querySelector('summary')?.focus()
      } else if (menu.contains(event.target as Node)) return
      menu.open = false
    }
    document.addEventListener('pointerdown', close)
    document.addEventListener('keydown', close, true)
    return () => {
      document.removeEventListener('pointerdown', close)
      document.removeEventListener('keydown', close, true)
    }
  }, [])
  return (
    <details ref={details} class="menu">
      <summary>
        {label}
        {chosen > 0 && <span class="count">{chosen}</span>}
      </summary>
      <div class="panel">{children}</div>
    </details>
  )
}

interface OptionProps {
  label: string
  count?: string
  checked: boolean
  colour?: string
  onToggle: () => void
}

export function Option({ label, count, checked, colour, onToggle }: OptionProps) {
  return (
    <label class="option">
      <input type="checkbox" checked={checked} onChange={onToggle} />
      {colour && <span class="dot" style={{ background: colour }} />}
      <bdi class="option-name">{label}</bdi>
      {count !== undefined && <span class="muted">{count}</span>}
    </label>
  )
}
