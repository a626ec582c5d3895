const options = `OPTIONS (refresh = '100 milliseconds')`;

/**
 * Over a table whose rows are updated and deleted: two views that share what they read, a view over one of them, a join of both, and one
 * that is computed as a whole with a view on it.
 */
export const definitions: Readonly<Record<string, string>> = {
  'mart.by_owner': `CREATE MATERIALIZED VIEW mart.by_owner PARTITION BY owner ${options} AS
    SELECT owner, count(*) AS accounts, sum(balance) AS balance FROM main.account GROUP BY owner`,
  'mart.by_size': `CREATE MATERIALIZED VIEW mart.by_size PARTITION BY accounts ${options} AS
    SELECT accounts, count(*) AS owners, sum(balance) AS balance FROM mart.by_owner GROUP BY accounts`,
  'mart.shares': `CREATE MATERIALIZED VIEW mart.shares PARTITION BY owner ${options} AS
    SELECT a.owner, a.id, a.balance, o.balance AS of_owner FROM main.account AS a JOIN mart.by_owner AS o ON o.owner = a.owner`,
  'mart.by_slot': `CREATE MATERIALIZED VIEW mart.by_slot PARTITION BY id % 10 ${options} AS
    SELECT id % 10 AS slot, count(DISTINCT owner) AS owners, max(balance) AS most FROM main.account GROUP BY slot`,
  'mart.rich': `CREATE MATERIALIZED VIEW mart.rich ${options} AS
    SELECT id, owner FROM main.account WHERE balance >= (SELECT median(balance) FROM main.account)`,
  'mart.rich_owners': `CREATE MATERIALIZED VIEW mart.rich_owners PARTITION BY owner ${options} AS
    SELECT owner, count(*) AS accounts FROM mart.rich GROUP BY owner`,
};
