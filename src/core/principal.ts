/** Roles, strongest first. `write` is a key that can only send records to named topics. */
export type Role = 'admin' | 'editor' | 'viewer' | 'write';

/** Who asks. `topics` restricts a write key; null means all topics that the role may reach. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
  readonly topics: readonly string[] | null;
  /** Of a link to a dashboard: the role of its maker, beyond whose rights it never reads. */
  readonly maker?: Role;
}
