/** What the reader's keyboard calls the key that shortcuts are made with. */
export const commandKey = /Mac|iPhone|iPad/.test(navigator.platform) ? '⌘' : 'Ctrl ';
