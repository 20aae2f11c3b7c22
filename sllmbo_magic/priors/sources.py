"""Where the ranges come from: short names used in the tables, and the full references.

A range "after" a source is that source's, cut to the part that is worth a small budget or scaled with the
data's size; the comment in the table says how.
"""

from __future__ import annotations

LIGHTGBM = "LightGBM docs, Parameters Tuning"
LIGHTGBM_PARAMETERS = "LightGBM docs, Parameters"
XGBOOST = "XGBoost docs, Notes on Parameter Tuning"
CATBOOST = "CatBoost docs, Parameter tuning"
SKORCH = "skorch docs, NeuralNet"
GUIDE_ENSEMBLES = "scikit-learn user guide, Ensembles"
GUIDE_HIST = "scikit-learn user guide, Histogram-Based Gradient Boosting"
GUIDE_TREES = "scikit-learn user guide, Decision Trees, tips on practical use"
GUIDE_LINEAR = "scikit-learn user guide, Linear Models"
GUIDE_SVM = "scikit-learn user guide, Support Vector Machines, tips on practical use"
GUIDE_NEIGHBORS = "scikit-learn user guide, Nearest Neighbors"
GUIDE_MLP = "scikit-learn user guide, Neural network models, tips on practical use"
GUIDE_SGD = "scikit-learn user guide, Stochastic Gradient Descent, tips on practical use"
SIGNATURE = "the estimator's signature"
CONSTRAINTS = "scikit-learn's declared parameter constraints"
FLAML = "FLAML (Wang et al. 2021)"
AUTOSKLEARN = "auto-sklearn (Feurer et al. 2015)"
PROBST = "Probst et al. 2019"
PROBST_FOREST = "Probst, Wright & Boulesteix 2019"
PROBST_TREES = "Probst & Boulesteix 2018"
GRINSZTAJN = "Grinsztajn et al. 2022"
GORISHNIY = "Gorishniy et al. 2021"
SHWARTZ = "Shwartz-Ziv & Armon 2022"
HSU = "Hsu, Chang & Lin 2003"
FRIEDMAN = "Friedman 2002"

REFERENCES: dict[str, str] = {
    LIGHTGBM: "https://lightgbm.readthedocs.io/en/stable/Parameters-Tuning.html",
    LIGHTGBM_PARAMETERS: "https://lightgbm.readthedocs.io/en/stable/Parameters.html",
    XGBOOST: "https://xgboost.readthedocs.io/en/stable/tutorials/param_tuning.html",
    CATBOOST: "https://catboost.ai/docs/en/concepts/parameter-tuning",
    SKORCH: "https://skorch.readthedocs.io/en/stable/user/neuralnet.html",
    GUIDE_ENSEMBLES: "https://scikit-learn.org/stable/modules/ensemble.html",
    GUIDE_HIST: "https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting",
    GUIDE_TREES: "https://scikit-learn.org/stable/modules/tree.html#tips-on-practical-use",
    GUIDE_LINEAR: "https://scikit-learn.org/stable/modules/linear_model.html",
    GUIDE_SVM: "https://scikit-learn.org/stable/modules/svm.html#tips-on-practical-use",
    GUIDE_NEIGHBORS: "https://scikit-learn.org/stable/modules/neighbors.html",
    GUIDE_MLP: "https://scikit-learn.org/stable/modules/neural_networks_supervised.html#tips-on-practical-use",
    GUIDE_SGD: "https://scikit-learn.org/stable/modules/sgd.html#tips-on-practical-use",
    SIGNATURE: "ranges around the default value",
    CONSTRAINTS: "the `_parameter_constraints` that scikit-learn checks arguments against",
    FLAML: "FLAML: A Fast and Lightweight AutoML Library, MLSys 2021; its default search spaces",
    AUTOSKLEARN: "Efficient and Robust Automated Machine Learning, NeurIPS 2015; its components",
    PROBST: "Tunability: Importance of Hyperparameters of Machine Learning Algorithms, JMLR 20, 2019",
    PROBST_FOREST: "Hyperparameters and tuning strategies for random forest, WIREs DMKD 9, 2019",
    PROBST_TREES: "To Tune or Not to Tune the Number of Trees in Random Forest, JMLR 18, 2018",
    GRINSZTAJN: "Why do tree-based models still outperform deep learning on tabular data?, NeurIPS 2022; "
    "its random-search spaces",
    GORISHNIY: "Revisiting Deep Learning Models for Tabular Data, NeurIPS 2021; its tuning spaces",
    SHWARTZ: "Tabular data: Deep learning is not all you need, Information Fusion 81, 2022",
    HSU: "A Practical Guide to Support Vector Classification, National Taiwan University, 2003",
    FRIEDMAN: "Stochastic gradient boosting, Computational Statistics & Data Analysis 38, 2002",
}
