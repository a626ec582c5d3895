const options = `OPTIONS (refresh = '100 milliseconds')`;

/** Over a table whose rows are updated and deleted, a view over that one, and a join of both. */
export const definitions: Readonly<Record<string, string>> = {
  'mart.by_owner': `CREATE MATERIALIZED VIEW mart.by_owner PARTITION BY owner ${options} AS
    SELECT owner, count(*) AS accounts, sum(balance) AS balance FROM main.account GROUP BY owner`,
  'mart.by_size': `CREATE MATERIALIZED VIEW mart.by_size PARTITION BY accounts ${options} AS
    SELECT accounts, count(*) AS owners, sum(balance) AS balance FROM mart.by_owner GROUP BY accounts`,
  'mart.shares': `CREATE MATERIALIZED VIEW mart.shares PARTITION BY owner ${options} AS
    SELECT a.owner, a.id, a.balance, o.balance AS of_owner FROM main.account AS a JOIN mart.by_owner AS o ON o.owner = a.owner`,
};
