//! The definitions as files: plain ones for kubectl and kustomize, and templates for the chart.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

/// Why a definition cannot be written.
#[derive(Debug)]
pub enum Error {
    /// It cannot be serialized.
    Yaml(serde_yaml::Error),
    /// A text in it would be run as a template by Helm.
    Template(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Yaml(error) => write!(f, "cannot be written as YAML: {error}"),
            Self::Template(line) => {
                write!(f, "holds {{{{, which the chart would run as a template, write it another way: {line}")
            }
        }
    }
}

impl std::error::Error for Error {}

const HEADER: &str = "# Generated from crds/src by 'make generate'; do not edit.\n";

/// What the chart adds: its labels, and an annotation that keeps the definitions when the chart is uninstalled.
const CHART_METADATA: &str = "metadata:
  labels:
    app.kubernetes.io/name: tetrarch
    app.kubernetes.io/managed-by: {{ .Release.Service }}
    helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
  {{- if .Values.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
";

/// Name of a definition's file, as kubebuilder gives it.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural)
}

/// The file for kubectl and kustomize.
pub fn plain(definition: &CustomResourceDefinition) -> Result<String, Error> {
    let text = serde_yaml::to_string(definition).map_err(Error::Yaml)?;
    Ok(format!("{HEADER}{text}"))
}

/// The template for the chart.
pub fn template(definition: &CustomResourceDefinition) -> Result<String, Error> {
    let text = plain(definition)?;
    if let Some(line) = text.lines().find(|line| line.contains("{{")) {
        return Err(Error::Template(line.trim().to_owned()));
    }
    Ok(text.replacen("metadata:\n", CHART_METADATA, 1))
}
