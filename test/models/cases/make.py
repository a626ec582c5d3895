"""Makes the cases beside it: models of scikit-learn, XGBoost and LightGBM as ONNX files, with the answers that onnxruntime gives.
Needs scikit-learn, xgboost, lightgbm, skl2onnx, onnxmltools and onnxruntime; the data is made up here. Run: python make.py"""
import json
import numpy as np, onnxruntime
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
import pandas
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
import xgboost, lightgbm
from onnxmltools import convert_xgboost, convert_lightgbm
from onnxmltools.convert.common.data_types import FloatTensorType as OtherFloats

random = np.random.default_rng(7)
N = 400
X = random.normal(size=(N, 4)).astype(np.float32)
HOLES = X.copy()
HOLES[random.random(X.shape) < 0.1] = np.nan
NAMES = ["a", "b", "c", "d"]
two = (X[:, 0] + X[:, 1] ** 2 > 0.8).astype(int)
three = np.array(["low", "mid", "high"])[np.clip((X[:, 0] + X[:, 2] + 1.5).astype(int), 0, 2)]
value = 3 * X[:, 0] - X[:, 1] * X[:, 2] + 10
places = random.choice(["Seoul", "Busan", "Jeju", "Daegu"], size=N)
bought = np.where(X[:, 0] + (places == "Jeju") * 2 > 0.7, "yes", "no")


def save(name, onnx, feeds, rows, label=None, classes=None):
    onnx = onnx.SerializeToString()
    open(f"{name}.onnx", "wb").write(onnx)
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    outputs = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
    scores = [v for v in outputs.values() if getattr(v, "dtype", None) == np.float32][0]
    labels = [v for v in outputs.values() if getattr(v, "dtype", None) in (np.dtype("int64"), np.dtype("O"))]
    json.dump({"columns": list(rows[0]), "rows": rows, "answers": scores.reshape(len(rows), -1).astype(float).tolist(),
               "labels": None if not labels else labels[0].tolist()}, open(f"{name}.json", "w"))


def cells(matrix, n=40):
    return [{NAMES[k]: None if np.isnan(v) else float(v) for k, v in enumerate(row)} for row in matrix[:n]]


flat = {"options": None}
kinds = [("x", FloatTensorType([None, 4]))]
no_map = {"zipmap": False}
opset = {"": 17, "ai.onnx.ml": 3}
forest = RandomForestClassifier(n_estimators=8, max_depth=4, random_state=1).fit(X, three)
save("sklearn-forest", convert_sklearn(forest, initial_types=kinds, options={id(forest): no_map}, target_opset=opset), {"x": X[:40]}, cells(X))
boosted = GradientBoostingRegressor(n_estimators=10, max_depth=3, random_state=1).fit(X, value)
save("sklearn-boosted", convert_sklearn(boosted, initial_types=kinds, target_opset=opset), {"x": X[:40]}, cells(X))
line = make_pipeline(StandardScaler(), LinearRegression()).fit(X, value)
save("sklearn-linear", convert_sklearn(line, initial_types=kinds, target_opset=opset), {"x": X[:40]}, cells(X))
net = MLPClassifier((6,), max_iter=300, random_state=1).fit(X, three)
save("sklearn-network", convert_sklearn(net, initial_types=kinds, options={id(net): no_map}, target_opset=opset), {"x": X[:40]}, cells(X))

table = pandas.DataFrame({"a": HOLES[:, 0], "b": HOLES[:, 1], "place": places})
columns = ColumnTransformer([("n", make_pipeline(SimpleImputer(), StandardScaler()), ["a", "b"]), ("p", OneHotEncoder(handle_unknown="ignore"), ["place"])])
pipe = make_pipeline(columns, LogisticRegression()).fit(table, bought)
onnx = convert_sklearn(pipe, initial_types=[("a", FloatTensorType([None, 1])), ("b", FloatTensorType([None, 1])), ("place", StringTensorType([None, 1]))],
                       options={id(pipe): no_map}, target_opset=opset)
shown = table.head(40).copy()
shown.loc[3, "place"] = "Tokyo"
feeds = {"a": shown[["a"]].to_numpy(np.float32), "b": shown[["b"]].to_numpy(np.float32), "place": shown[["place"]].to_numpy(object)}
save("sklearn-pipeline", onnx, feeds, json.loads(shown.astype({"a": float, "b": float}).to_json(orient="records", double_precision=15)))

floats = [("x", OtherFloats([None, 4]))]
model = xgboost.XGBClassifier(n_estimators=10, max_depth=3).fit(HOLES, two)
save("xgboost-two", convert_xgboost(model, initial_types=floats, target_opset=15), {"x": HOLES[:40]}, cells(HOLES))
model = xgboost.XGBRegressor(n_estimators=10, max_depth=3).fit(HOLES, value)
save("xgboost-value", convert_xgboost(model, initial_types=floats, target_opset=15), {"x": HOLES[:40]}, cells(HOLES))
model = lightgbm.LGBMClassifier(n_estimators=8, num_leaves=6, verbose=-1).fit(HOLES, three)
save("lightgbm-three", convert_lightgbm(model, initial_types=floats, target_opset=15, zipmap=False), {"x": HOLES[:40]}, cells(HOLES))
