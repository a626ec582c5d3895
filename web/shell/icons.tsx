import type { ReactNode } from 'react';

function Icon({ children }: { children: ReactNode }) {
  return (
    <svg
      className="icon"
      viewBox="0 0 20 20"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.6"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

export const icons = {
  home: (
    <Icon>
      <path d="M3 9.2 10 3.500l7 5.700V16a1 1 0 0 1-1 1h-3.500v-5h-5v5H4a1 1 0 0 1-1-1z" />
    </Icon>
  ),
  data: (
    <Icon>
      <ellipse cx="10" cy="5" rx="6.5" ry="2.5" />
      <path d="M3.5 5v10c0 1.4 2.9 2.5 6.5 2.500s6.5-1.1 6.5-2.500V5M3.5 10c0 1.4 2.9 2.5 6.5 2.500s6.5-1.1 6.5-2.5" />
    </Icon>
  ),
  ask: (
    <Icon>
      <path d="m4 6 4 4-4 4M10.5 15H16" />
    </Icon>
  ),
  dashboards: (
    <Icon>
      <rect x="3" y="3" width="6" height="8" rx="1" />
      <rect x="3" y="14" width="6" height="3" rx="1" />
      <rect x="12" y="3" width="5" height="3" rx="1" />
      <rect x="12" y="9" width="5" height="8" rx="1" />
    </Icon>
  ),
  find: (
    <Icon>
      <circle cx="9" cy="9" r="5.5" />
      <path d="m13.2 13.2 3.8 3.8" />
    </Icon>
  ),
  menu: (
    <Icon>
      <circle cx="10" cy="7" r="3" />
      <path d="M4 17c.6-3.2 3-4.8 6-4.800s5.4 1.6 6 4.8" />
    </Icon>
  ),
  table: (
    <Icon>
      <rect x="3" y="4" width="14" height="12" rx="1.5" />
      <path d="M3 8.500h14M8 8.500V16" />
    </Icon>
  ),
  topic: (
    <Icon>
      <path d="M3 7c2.3-2 4.7-2 7 0s4.7 2 7 0M3 13c2.3-2 4.7-2 7 0s4.7 2 7 0" />
    </Icon>
  ),
  transfer: (
    <Icon>
      <path d="M3 7h12M12 4l3 3-3 3M17 13H5M8 10l-3 3 3 3" />
    </Icon>
  ),
  answers: (
    <Icon>
      <path d="M4 4h12v9H9l-4 3.500V13H4z" />
      <path d="m7.500 8.500 2 2 3.500-4" />
    </Icon>
  ),
  models: (
    <Icon>
      <circle cx="10" cy="4.500" r="1.800" />
      <circle cx="5" cy="15" r="1.800" />
      <circle cx="15" cy="15" r="1.800" />
      <path d="M9.200 6.200 5.800 13.300M10.800 6.200l3.400 7.100" />
    </Icon>
  ),
  admin: (
    <Icon>
      <path d="M10 2.500 16 5v4.500c0 4-2.500 6.800-6 8-3.500-1.200-6-4-6-8V5z" />
    </Icon>
  ),
  grip: (
    <Icon>
      <path d="M7.500 5h.01M12.500 5h.01M7.500 10h.01M12.500 10h.01M7.500 15h.01M12.500 15h.01" strokeWidth="2.4" />
    </Icon>
  ),
  more: (
    <Icon>
      <path d="M5 10h.01M10 10h.01M15 10h.01" strokeWidth="2.6" />
    </Icon>
  ),
} as const;

export function Mark() {
  return (
    <svg className="mark" viewBox="0 0 32 32" fill="none" stroke="currentColor" strokeWidth="3" strokeLinecap="round" aria-hidden="true">
      <path d="M3 11c4.3-4 8.7-4 13 0s8.7 4 13 0" />
      <path d="M3 21c4.3-4 8.7-4 13 0s8.7 4 13 0" opacity=".5" />
    </svg>
  );
}
