/** A modal dialog that a signal opens: the browser keeps the focus inside, and gives it back. */
import { useEffect, useRef } from 'preact/hooks'

export function useDialog(open: boolean) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const element = dialog.current
    if (!element || element.open === open) return
    if (!open) return element.close()
    element.showModal()
    // Not on the first button, which the browser would choose.
    element.querySelector<HTMLElement>('[tabindex="-1"]')?.focus({ preventScroll: true })
  }, [open])
  return dialog
}
