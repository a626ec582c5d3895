/** Values as small bars, the newest on the right; `slots` keeps the width the same while they come in. */
export function Spark({ values, slots }: { values: readonly number[]; slots: number }) {
  const most = Math.max(1, ...values);
  return (
    <svg className="spark" viewBox={`0 0 ${slots * 2} 20`} preserveAspectRatio="none" aria-hidden="true">
      {values.map((value, at) => {
        const height = value === 0 ? 0.6 : 1 + (19 * value) / most;
        const x = (slots - values.length + at) * 2;
        return <rect key={x} x={x} width={1.4} y={20 - height} height={height} />;
      })}
    </svg>
  );
}
