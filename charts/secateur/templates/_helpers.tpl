{{/* What every name starts with. */}}
{{- define "secateur.fullname" -}}
{{- $default := ternary .Release.Name (printf "%s-%s" .Release.Name .Chart.Name) (contains .Chart.Name .Release.Name) -}}
{{- .Values.fullnameOverride | default $default | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of what belongs to one component. Takes [root, component]. */}}
{{- define "secateur.name" -}}
{{- printf "%s-%s" (include "secateur.fullname" (index . 0)) (index . 1) -}}
{{- end -}}

{{/* The labels of pods, by which they are found: no upgrade changes them. Takes [root, component]. */}}
{{- define "secateur.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* The labels of every object. Takes [root, component]. */}}
{{- define "secateur.labels" -}}
{{- $root := index . 0 -}}
{{ include "secateur.selector" . }}
app.kubernetes.io/part-of: {{ $root.Chart.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* The labels of what the Prometheus operator reads: those that it selects by too, which change none of ours. */}}
{{- define "secateur.monitoring-labels" -}}
{{- merge (include "secateur.labels" (list . "monitoring") | fromYaml) (.Values.metrics.labels | default dict) | toYaml -}}
{{- end -}}

{{/* The image, by its digest or its tag. */}}
{{- define "secateur.image" -}}
{{- with .Values.image -}}
{{- .repository -}}{{- if .digest -}}@{{ .digest }}{{- else -}}:{{ .tag }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What nobody may delete, as a JSON array. */}}
{{- define "secateur.protected" -}}
{{- append (.Values.protect | default list) (include "secateur.image" .) | uniq | toJson -}}
{{- end -}}

{{/* The port of metrics and probes. On the node's network the controller must not take the agent's. Takes [root, component]. */}}
{{- define "secateur.port" -}}
{{- $values := (index . 0).Values -}}
{{- ternary 9465 9464 (and (eq (index . 1) "controller") $values.controller.hostNetwork) -}}
{{- end -}}

{{/* What the specs of all pods have in common. Takes [root, component, hostNetwork]. */}}
{{- define "secateur.pod" -}}
{{- $root := index . 0 -}}
serviceAccountName: {{ include "secateur.name" (list $root (index . 1)) }}
automountServiceAccountToken: true
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if index . 2 }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- end -}}

{{/* Pods of anyone but root. */}}
{{- define "secateur.nonroot" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{/* What the containers of all pods may do: nothing. */}}
{{- define "secateur.container" -}}
image: {{ include "secateur.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Where the pod is, and where the API server is. */}}
{{- define "secateur.env" -}}
- name: NODE_NAME
  valueFrom:
    fieldRef:
      fieldPath: spec.nodeName
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- with .Values.apiServer }}
{{- if .host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .host | quote }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .port | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{/* Where metrics and probes are served, and how the log is written. Takes [root, component]. */}}
{{- define "secateur.arguments" -}}
{{- $values := (index . 0).Values -}}
- --listen=:{{ include "secateur.port" . }}
- --log-format={{ $values.logFormat }}
- --log-level={{ $values.logLevel }}
{{- end -}}

{{/* The port and the probes. Takes [root, component]. */}}
{{- define "secateur.probes" -}}
ports:
  - name: metrics
    containerPort: {{ include "secateur.port" . }}
livenessProbe:
  httpGet:
    path: /healthz
    port: metrics
readinessProbe:
  httpGet:
    path: /readyz
    port: metrics
  periodSeconds: 5
{{- end -}}
