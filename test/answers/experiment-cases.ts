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
 *   # Bayes for means: t posteriors with n - 1 degrees of freedom; the ratio by its linearisation
 *   def post(y):
 *       y = np.asarray(y, float); return len(y) - 1, y.mean(), y.std(ddof=1) / np.sqrt(len(y))
 *   def told(pa, pb):
 *       ta, tb = stats.t(*pa), stats.t(*pb)
 *       to = dict(a=min(pa[1] - 40 * pa[2], pb[1] - 40 * pb[2]), b=max(pa[1] + 40 * pa[2], pb[1] + 40 * pb[2]), points=sorted([pa[1], pb[1]]), limit=400, epsabs=1e-12)
 *       area = lambda f: integrate.quad(f, **to)[0]
 *       return dict(beat=area(lambda x: tb.pdf(x) * ta.cdf(x)), mean_a=pa[1], mean_b=pb[1], low_b=tb.ppf(.025), high_b=tb.ppf(.975),
 *           loss_a=area(lambda x: ta.cdf(x) * tb.sf(x)), loss_b=area(lambda x: tb.cdf(x) * ta.sf(x)))
 *   def linear(mask):
 *       d, s = orders[mask], spent[mask]; r = s.sum() / d.sum(); return r + (s - r * d) / d.mean()
 *   out['bayesMeans'] = dict(clicks=told(post(clicks[~b]), post(clicks[b])), ratio=told(post(linear(~b)), post(linear(b))), few=told(post(clicks[~b][:6]), post(clicks[b][:6])))
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
  bayesMeans: {
    clicks: {
      beat: 0.9952035823443114,
      mean_a: 2.9833333333333334,
      mean_b: 3.966666666666667,
      low_b: 3.4435575257307476,
      high_b: 4.4897758076025855,
      loss_a: 0.983930448811614,
      loss_b: 0.0005971154782805608,
    },
    ratio: {
      beat: 0.9999999999999881,
      mean_a: 14.125,
      mean_b: 20.958333333333332,
      low_b: 20.02394785133077,
      high_b: 21.892718815335893,
      loss_a: 6.833333333333334,
      loss_b: 4.1798754755224985e-19,
    },
    few: {
      beat: 0.8044868606235867,
      mean_a: 2.8333333333333335,
      mean_b: 4.166666666666667,
      low_b: 1.7355370175274913,
      high_b: 6.597796315805842,
      loss_a: 1.5388459671019297,
      loss_b: 0.2055128591157657,
    },
  },
  power: {
    n_control: 392.4430232577885,
    n_control_unequal: 1085.9805944920365,
  },
} as const;
