/**
 * Reference values by scipy 1.17.1 and statsmodels 0.15.0, made by:
 *
 *   import numpy as np, json
 *   from scipy import integrate, stats
 *   from statsmodels.stats.weightstats import CompareMeans, DescrStatsW
 *   from statsmodels.stats.multitest import multipletests
 *   from statsmodels.stats.power import NormalIndPower
 *   import statsmodels.api as sm
 *   n = 120
 *   i = np.arange(n)
 *   b = i % 2 == 1                                   # variant B
 *   orders = (i * 7 + i // 5) % 4                             # 0..3 orders a visitor
 *   spent = orders * (10 + (i * 13) % 9 + 7 * b)     # of orders * price each
 *   clicks = (i * 5) % 7 + b
 *   out = {}
 *   def compare(y):
 *       a, c = DescrStatsW(y[b].astype(float)), DescrStatsW(y[~b].astype(float))
 *       cm = CompareMeans(a, c)
 *       low, high = cm.zconfint_diff(usevar='unequal')
 *       return dict(difference=a.mean - c.mean, low=low, high=high, p=cm.ztest_ind(usevar='unequal')[1])
 *   ys = dict(buyers=(orders > 0).astype(float), revenue=spent.astype(float), clicks=clicks.astype(float))
 *   out['means'] = {k: compare(v) for k, v in ys.items()}
 *   out['holm'] = dict(zip(ys, multipletests([out['means'][k]['p'] for k in ys], method='holm')[1]))
 *   out['bh'] = dict(zip(ys, multipletests([out['means'][k]['p'] for k in ys], method='fdr_bh')[1]))
 *   def ratio(mask):
 *       d, s = orders[mask], spent[mask]; has = d > 0
 *       fit = sm.WLS(s[has] / d[has], np.ones(has.sum()), weights=d[has]).fit(cov_type='HC0')
 *       return fit.params[0], fit.bse[0] ** 2 * mask.sum() / (mask.sum() - 1)
 *   (rb, vb), (ra, va) = ratio(b), ratio(~b)
 *   se = np.sqrt(va + vb)
 *   out['ratio'] = dict(a=ra, b=rb, low=rb - ra - stats.norm.ppf(.975) * se, high=rb - ra + stats.norm.ppf(.975) * se, p=2 * stats.norm.sf(abs(rb - ra) / se))
 *   # Bayes: 9 of 60 against 19 of 60
 *   A, B = stats.beta(1 + 9, 1 + 51), stats.beta(1 + 19, 1 + 41)
 *   x = np.linspace(0, 1, 200001)
 *   out['bayes'] = dict(beat=integrate.simpson(B.pdf(x) * A.cdf(x), x=x), loss_b=integrate.simpson(B.cdf(x) * A.sf(x), x=x), loss_a=integrate.simpson(A.cdf(x) * B.sf(x), x=x),
 *       mean_a=A.mean(), mean_b=B.mean(), low_b=B.ppf(.025), high_b=B.ppf(.975))
 *   # power: sd 1 (effect size d), shares 0.5/0.3/0.2: two comparisons
 *   p = NormalIndPower()
 *   out['power'] = dict(n_control=p.solve_power(effect_size=.2, alpha=.05, power=.8, ratio=1), n_control_unequal=p.solve_power(effect_size=.2, alpha=.025, power=.9, ratio=.2 / .5))
 *   print(json.dumps(out, indent=1))
 */
export const cases = {
  means: {
    buyers: {
      difference: 0.0,
      low: -0.17678389728097552,
      high: 0.17678389728097552,
      p: 1.0,
    },
    revenue: {
      difference: 8.2,
      low: 0.49286606692821167,
      high: 15.907133933071787,
      p: 0.03704186224240132,
    },
    clicks: {
      difference: 0.9833333333333334,
      low: 0.25792921715346584,
      high: 1.708737449513201,
      p: 0.007887195156411802,
    },
  },
  holm: {
    buyers: 1.0,
    revenue: 0.07408372448480265,
    clicks: 0.023661585469235406,
  },
  bh: {
    buyers: 1.0,
    revenue: 0.05556279336360199,
    clicks: 0.023661585469235406,
  },
  ratio: {
    a: 14.124999999999995,
    b: 20.958333333333325,
    low: 5.546941893523373,
    high: 8.119724773143288,
    p: 2.200500772667245e-25,
  },
  bayes: {
    beat: 0.9838261341062451,
    loss_b: 0.00044664576455266317,
    loss_a: 0.1617369683451978,
    mean_a: 0.16129032258064516,
    mean_b: 0.3225806451612903,
    low_b: 0.21306633581136997,
    high_b: 0.44293662771106734,
  },
  power: {
    n_control: 392.4430232577885,
    n_control_unequal: 1085.9805944920365,
  },
} as const;
