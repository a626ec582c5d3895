/** Roles, strongest first. `write` is a key that can only send records to named topics. */
export type Role = 'admin' | 'editor' | 'viewer' | 'write';

/** Who asks. `topics` restricts a write key; null means all topics that the role may reach. */
export interface Principal {
  readonly name: string;
  readonly role: Role;
  readonly topics: readonly string[] | null;
}
