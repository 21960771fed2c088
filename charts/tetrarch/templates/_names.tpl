{{/* Labels of every object; the argument is a list of the root and the component. */}}
{{- define "tetrarch.labels" -}}
{{- $root := index . 0 -}}
{{ include "tetrarch.selector" (index . 1) }}
app.kubernetes.io/part-of: tetrarch
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end -}}

{{/* Labels that select the pods of a component. */}}
{{- define "tetrarch.selector" -}}
app.kubernetes.io/name: tetrarch
app.kubernetes.io/component: {{ . }}
{{- end -}}

{{/* Reference of one of Tetrarch's images; the argument is a list of the root and the image's values. */}}
{{- define "tetrarch.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with $root.Values.image.registry }}{{ . }}/{{ end -}}
{{ $image.repository }}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ $root.Values.image.tag | default $root.Chart.AppVersion }}{{ end -}}
{{- end -}}

{{/* Reference of the NATS image. */}}
{{- define "tetrarch.natsImage" -}}
{{- with .Values.nats.image -}}
{{- with .registry }}{{ . }}/{{ end -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end -}}
{{- end -}}
{{- end -}}

{{/* Where everybody reaches the bus. */}}
{{- define "tetrarch.busUrl" -}}
{{- .Values.bus.url | default (printf "tls://tetrarch-nats.%s.svc:4222" .Release.Namespace) -}}
{{- end -}}

{{/* What the Pod Security Standard "restricted" asks of a pod. */}}
{{- define "tetrarch.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What the Pod Security Standard "restricted" asks of a container, and a root file system nobody writes. */}}
{{- define "tetrarch.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* The operator's environment, which `helm test` needs as well. */}}
{{- define "tetrarch.operatorEnv" -}}
- name: TETRARCH_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: TETRARCH_BUS_URL
  value: {{ include "tetrarch.busUrl" . | quote }}
- name: TETRARCH_SUPERVISOR_IMAGE
  value: {{ include "tetrarch.image" (list . .Values.supervisor.image) | quote }}
- name: TETRARCH_SIDECAR_IMAGE
  value: {{ include "tetrarch.image" (list . .Values.sidecar.image) | quote }}
- name: TETRARCH_IMAGE_PULL_POLICY
  value: {{ .Values.image.pullPolicy }}
- name: TETRARCH_HTTP_ADDR
  value: "0.0.0.0:9090"
{{- if .Values.webhook.certManager.enabled }}
- name: TETRARCH_WEBHOOK_CERTIFICATES
  value: secret
{{- else }}
- name: TETRARCH_WEBHOOK_REGISTERED
  value: "true"
- name: TETRARCH_WEBHOOK_CERTIFICATE_LIFETIME
  value: {{ .Values.webhook.certificateLifetime | quote }}
- name: TETRARCH_WEBHOOK_AUTHORITY_LIFETIME
  value: {{ .Values.webhook.authorityLifetime | quote }}
{{- end }}
- name: TETRARCH_LOG
  value: {{ .Values.operator.log | quote }}
- name: TETRARCH_RUNTIME_LOG
  value: {{ .Values.operator.runtimeLog | quote }}
{{- with .Values.operator.env }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Who may scrape metrics. */}}
{{- define "tetrarch.metricsFrom" -}}
{{- range .Values.networkPolicy.metricsFrom }}
- namespaceSelector:
    {{- toYaml . | nindent 4 }}
{{- else }}
- namespaceSelector: {}
{{- end }}
{{- end -}}


{{/* How API servers call the webhook; the argument is a list of the root and the path. */}}
{{- define "tetrarch.webhook" -}}
{{- $root := index . 0 -}}
clientConfig:
  service:
    name: tetrarch-webhook
    namespace: {{ $root.Release.Namespace }}
    path: {{ index . 1 }}
    port: 443
admissionReviewVersions: [v1]
failurePolicy: Fail
matchPolicy: Equivalent
sideEffects: NoneOnDryRun
timeoutSeconds: {{ $root.Values.webhook.timeoutSeconds }}
{{- end -}}

{{/* Who writes the caBundle, when it is not the operator. */}}
{{- define "tetrarch.webhookAnnotations" -}}
{{- if .Values.webhook.certManager.enabled -}}
annotations:
  cert-manager.io/inject-ca-from: {{ .Release.Namespace }}/tetrarch-webhook
{{- end -}}
{{- end -}}

{{/* Whether an update changes what policies look at; the bookkeeping of controllers does not. */}}
{{- define "tetrarch.webhookChanged" -}}
request.operation != 'UPDATE' || request.?subResource.orValue('') != '' || object.?spec != oldObject.?spec || object.metadata.?labels != oldObject.metadata.?labels || object.metadata.?annotations != oldObject.metadata.?annotations
{{- end -}}

{{/* What API servers let through without asking. */}}
{{- define "tetrarch.webhookConditions" -}}
- name: not-in-deletion
  expression: "!has((request.operation == 'DELETE' ? oldObject : object).metadata.deletionTimestamp)"
- name: changed
  expression: {{ include "tetrarch.webhookChanged" . | quote }}
{{- end -}}
